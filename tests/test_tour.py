"""The tour of the README, run as it stands there against the demo: what it prints is what a reader will see."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.backends import embedded_models, model_files
from gateway.config.model import CLASSIC_MODELS
from tests.support.gateway_process import until

ROOT = Path(__file__).resolve().parent.parent
LACKING = [
    *(model for model in embedded_models.MODELS if embedded_models.missing(model) is not None),
    *(model for model in CLASSIC_MODELS if model_files.missing(model) is not None),
]
WRITTEN_URL = "http://127.0.0.1:8080"
WRITTEN_OPS = "http://127.0.0.1:8081"
WRITTEN_CONTROL = "http://127.0.0.1:8082"
WRITTEN_COMMAND = ".venv/bin/lockgate "
BLOCK_S = 60.0

pytestmark = [
    pytest.mark.llama_cpp,
    pytest.mark.embeddings,
    pytest.mark.skipif(bool(LACKING), reason=f"the tour needs the demo's models; not installed: {', '.join(LACKING)}"),
]


class Tour:
    """The tour's blocks, and the folder and demo that they are run beside."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        running = json.loads((folder / "state" / "demo" / "run" / "gateway.json").read_text())
        section = (ROOT / "README.md").read_text().partition("\n## A tour\n")[2].partition("\n## ")[0]
        for written, here in (
            (WRITTEN_URL, url),
            (WRITTEN_OPS, running["ops"]),
            (WRITTEN_CONTROL, running["control"]),
            (WRITTEN_COMMAND, f"{sys.executable} -m gateway "),
        ):
            assert written in section
            section = section.replace(written, here)
        blocks = re.findall(r"^```(\w+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        self.python = [block for language, block in blocks if language == "python"]
        self.preparation, *self.shell = [block for language, block in blocks if language == "sh"]
        (self.shown,) = [block for language, block in blocks if language == "text"]
        assert len(self.python) + len(self.shell) + 2 == len(blocks), "a block that is neither sh nor python is not run"

    def run(self, *command: str) -> str:
        """What a command prints, with the environment of the project before all others; it must end well."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environ = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=self._folder, env=environ, capture_output=True, text=True, timeout=BLOCK_S)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not done.stderr, done.stderr
        return done.stdout

    def run_shell(self, number: int) -> str:
        """A block of shell after the one that prepares it, in one shell."""
        return self.run("bash", "-euo", "pipefail", "-c", self.preparation + self.shell[number])


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tour]:
    """The demo in a folder of its own, where it keeps its state as `make serve` does in a checkout."""
    folder = tmp_path_factory.mktemp("tour")
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "gateway", "demo", "--port", "0", "--ops", "127.0.0.1:0", "--workers", "1"]
    command += ["--control", "127.0.0.1:0"]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            ready = next((line for line in process.stdout if line.startswith("ready ")), "")
            assert ready, (folder / "log").read_text()
            yield Tour(folder, ready.split()[1])
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, (folder / "log").read_text()
        finally:
            process.kill()


def test_models_chat_stream_response_and_embedding_come_as_the_tour_says(tour: Tour) -> None:
    models, answer, *stream, response, embedding = [line for line in tour.run_shell(0).splitlines() if line]
    assert [model["id"] for model in json.loads(models)["data"]] == ["churn", "magika", "minilm", "smollm2-135m"]
    assert json.loads(answer)["choices"][0]["message"]["content"]
    assert all(line.startswith(("data: ", ": ")) for line in stream)  # what it cost is a comment
    assert len(stream) > 3
    assert stream[-1] == "data: [DONE]"
    assert json.loads(response)["output"][0]["content"][0]["text"]
    assert len(json.loads(embedding)["data"][0]["embedding"]) == 384


def test_a_row_is_predicted_and_one_that_the_schema_refuses_is_named(tour: Tour) -> None:
    predicted, refused = (json.loads(line) for line in tour.run_shell(1).splitlines())
    assert [output["name"] for output in predicted["outputs"]] == ["left", "probabilities"]
    assert predicted["outputs"][0]["data"] == [1]
    assert refused == {"error": 'row 0, column "age": must be at least 18'}


def test_a_model_the_key_may_not_use_does_not_exist(tour: Tour) -> None:
    assert json.loads(tour.run_shell(2))["error"]["code"] == "model_not_found"


def test_the_openai_sdk_streams_and_embeds(tour: Tour) -> None:
    block = next(block for block in tour.python if "import OpenAI" in block)
    said, dimensions = tour.run(sys.executable, "-c", block).rsplit("\n", 2)[:2]
    assert said.strip()
    assert dimensions.strip() == "384 dimensions"


def test_anthropics_sdk_streams_and_counts(tour: Tour) -> None:
    block = next(block for block in tour.python if "import Anthropic" in block)
    said, counts = tour.run(sys.executable, "-c", block).rsplit("\n", 2)[:2]
    assert said.strip()
    assert re.fullmatch(r" [1-9]\d* tokens said, [1-9]\d* tokens asked", counts)


def test_the_metrics_count_what_the_tour_asked(tour: Tour) -> None:
    tour.run_shell(2)
    line = re.compile(r'^lockgate_requests_total\{.*code="model_not_found".*tenant="globex"\} \d', re.MULTILINE)

    def counted() -> bool:
        try:
            return line.search(tour.run_shell(3)) is not None
        except AssertionError:  # the block's grep finds nothing yet
            return False

    until(counted, "the refusal is counted; metrics follow the journal, a moment after the answer")


def test_an_attack_is_refused_and_a_chain_can_be_tried(tour: Tour) -> None:
    refused, tried = tour.run_shell(5).split("\n", 1)
    assert json.loads(refused)["error"]["code"] == "content_filter"
    assert "EMAIL_ADDRESS" in tried
    assert re.fullmatch(r"Write to \[EMAIL_ADDRESS_[0-9a-f]{10}\]", tried.splitlines()[-1])


def test_an_agents_run_is_read_back_in_steps_and_its_call_explained_and_replayed(tour: Tour) -> None:
    block = next(block for block in tour.python if "tools=tools" in block)
    answer = tour.run(sys.executable, "-c", block).strip()
    assert answer
    said = tour.run_shell(6)
    steps, tree, why, one, _all = re.split(r"\n(?=trace |req_|\d+ records? )", said)
    assert shape(steps.partition("\n\nfrom ")[0]) == shape(tour.shown)
    assert " ".join(steps.split()).partition(" assistant ")[2].startswith(" ".join(answer.split())[:80])
    assert tree.count("▸ POST /v1/chat/completions") == 2
    assert why.splitlines()[0].split(",")[0] in steps
    assert "chain standard" in why
    assert "as the backend stated at the end" in why
    for table in (one, _all):
        derived = next(line.split() for line in table.splitlines() if line.startswith("total "))
        assert int(derived[1].replace(",", "")) >= 8
        assert derived[2] == "0"
    assert [line for line in said.splitlines() if len(line) > 100] == []


def shape(shown: str) -> str:
    """What stays from run to run: without ids, numbers, and the model's words."""
    shown = re.sub(r"(?m)^( +assistant ).*(?:\n {15}.*)*$", r"\1", shown.strip())
    shown = re.sub(r"req_[0-9a-f]+|\b[0-9a-f]{32}(?::\d+)?", "ID", shown)
    return re.sub(r"[\d.,]+ m?s\b", "TIME", re.sub(r"\$[\d.]+|[\d,]+→[\d,]+|[\d-]{10} [\d:]{8}", "N", shown))


def test_a_key_with_a_budget_is_made_spent_lowered_raised_and_revoked(tour: Tour) -> None:
    said = tour.run_shell(7)
    assert "Made the tenant initech" in said
    assert "Made the project web of initech" in said
    answers = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert [answer.get("error", {}).get("code") for answer in answers] == [
        None,
        "insufficient_quota",
        None,
        "invalid_api_key",
    ]
    assert "Lowered the cap from $1 to $0.0000001" in said
    assert "Raised the cap from $0.0000001 to $2" in said
    assert "Revoked the key initech/app" in said
    assert "new customer" in said
    assert "the tour is over" in said
    assert "The log is whole" in said
