"""`lockgate demo` as a user starts it: from nothing to answers, with real weights."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import openai
import pytest

from gateway.backends import embedded_models, model_files
from gateway.config.model import CLASSIC_MODELS

ROOT = Path(__file__).parents[2]
LACKING = [
    *(model for model in embedded_models.MODELS if embedded_models.missing(model) is not None),
    *(model for model in CLASSIC_MODELS if model_files.missing(model) is not None),
]

pytestmark = [
    pytest.mark.llama_cpp,
    pytest.mark.embeddings,
    pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)}"),
]


@contextmanager
def demo(state_dir: Path) -> Iterator[tuple[str, list[str], subprocess.Popen[str]]]:
    """Runs the demo until it serves: its URL, and what it said on stdout."""
    command = [sys.executable, "-m", "gateway", "demo", "--port", "0", "--ops", "127.0.0.1:0"]
    command += ["--state-dir", str(state_dir)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    log = (state_dir.parent / "log").open("ab")
    with log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environ) as process:
        try:
            assert process.stdout is not None
            said: list[str] = []
            for line in process.stdout:
                said.append(line.rstrip("\n"))
                if line.startswith("ready "):
                    break
            assert said, (state_dir.parent / "log").read_text()
            yield said[-1].split()[1], said, process
        finally:
            process.kill()


def _asking_magika(text: bytes) -> dict[str, object]:
    """The first and the last 1,024 bytes, filled up with 256, as magika's own client prepares them."""
    text = text.strip()
    begin, end = list(text[:1024]), list(text[-1024:])
    features = begin + [256] * (2048 - len(begin) - len(end)) + end
    return {"inputs": [{"name": "bytes", "datatype": "INT32", "shape": [1, 2048], "data": features}]}


def _magika_labels() -> list[str]:
    config = model_files.open_model("magika").path.with_name("config.min.json")
    labels: list[str] = json.loads(config.read_bytes())["target_labels_space"]
    return labels


def test_two_tenants_use_real_models_with_keys_that_last(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with demo(state) as (url, said, process):
        keys = json.loads((state / "demo-keys.json").read_text())
        assert (state / "demo-keys.json").stat().st_mode & 0o777 == 0o600
        assert sum(line.startswith("ready ") for line in said) == 1
        for command in ("records list", "explain ID", "trajectories list"):
            assert any(f"lockgate {command} --state-dir {state}" in line for line in said)
        assert all(any(secret in line for line in said) for secret in keys.values())
        wide, narrow = (
            openai.OpenAI(base_url=f"{url}/v1", api_key=keys[tenant], max_retries=0) for tenant in ("acme", "globex")
        )
        with wide, narrow:
            answer = wide.chat.completions.create(
                model="smollm2-135m",
                messages=[{"role": "user", "content": "Name the capital of France."}],
                temperature=0,
                max_tokens=16,
            )
            assert "Paris" in (answer.choices[0].message.content or "")
            assert len(narrow.embeddings.create(model="minilm", input="x").data[0].embedding) == 384
            assert [model.id for model in narrow.models.list().data] == ["minilm"]
            with pytest.raises(openai.NotFoundError):
                narrow.chat.completions.create(model="smollm2-135m", messages=[{"role": "user", "content": "x"}])
            with httpx.Client(base_url=url, headers={"authorization": f"Bearer {keys['acme']}"}) as classic:
                listed = {model["id"]: model.get("kind") for model in classic.get("/v1/models").json()["data"]}
                assert listed == {"churn": "classic", "magika": "classic", "minilm": None, "smollm2-135m": None}
                (asked,) = (json.loads(line[8:-1]) for line in said if line.startswith('    -d \'{"inputs"'))
                left, probabilities = classic.post("/v2/models/churn/infer", json=asked).json()["outputs"]
                assert left["data"] == [1]
                assert sum(probabilities["data"]) == pytest.approx(1)
                for path, label in (("tests/integration/test_demo.py", "python"), ("configs/schema.json", "json")):
                    (found,) = classic.post(
                        "/v2/models/magika/infer", json=_asking_magika((ROOT / path).read_bytes())
                    ).json()["outputs"]
                    assert found["shape"] == [1, len(_magika_labels())]
                    assert _magika_labels()[found["data"].index(max(found["data"]))] == label
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0

    with demo(state) as (url, _, _):
        assert json.loads((state / "demo-keys.json").read_text()) == keys
        headers = {"authorization": f"Bearer {keys['globex']}"}
        assert httpx.get(f"{url}/v1/models", headers=headers).status_code == 200


def test_on_a_terminal_the_log_goes_to_a_file_and_the_keys_stay_in_sight(tmp_path: Path) -> None:
    state = tmp_path / "state"
    command = [
        sys.executable,
        "-m",
        "gateway",
        "demo",
        "--port",
        "0",
        "--ops",
        "127.0.0.1:0",
        "--state-dir",
        str(state),
    ]
    ours, theirs = pty.openpty()
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ)
    os.close(theirs)
    shown = b""
    try:
        while b"\nready http://" not in shown:
            shown += os.read(ours, 4096)
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(OSError):  # how a terminal says that nobody writes to it any more
            while data := os.read(ours, 4096):
                shown += data
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b'"event"' not in shown
    assert f"The log is in {state / 'log'}" in shown.decode()
    assert '"event":"ready"' in (state / "log").read_text()
