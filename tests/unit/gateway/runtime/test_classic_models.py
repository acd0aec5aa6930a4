"""gateway.runtime.classic_models: what is pinned, and which sessions a reload keeps. Trials are processes: see
tests/integration/test_classic_models.py."""

from __future__ import annotations

import json
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import ManualClock
from gateway.config import load, snapshot
from gateway.config.model import Column, Config, Onnx, Version
from gateway.config.places import Places
from gateway.config.snapshot import ClassicVersion
from gateway.errors import ConfigError
from gateway.runtime import classic_models
from gateway.runtime.classic_models import Sessions
from gateway.telemetry.logs import Log
from tests.support import onnx_models, text_models
from tests.support.model_folders import digest, packaged

LINEAR, COLUMNS = onnx_models.linear(), onnx_models.columns()


def pinned(folder: Path, text: str) -> Config:
    (folder / "a.yaml").write_text(text)
    return classic_models.pin(*load.load_with_places(folder, environ={}))


def version(config: Config, name: str = "1") -> Version:
    model = config.models["m"]
    assert isinstance(model, Onnx)
    found = model.versions[name]
    assert isinstance(found, Version)
    return found


def test_a_configuration_without_classic_models_is_left_as_it_is(tmp_path: Path) -> None:
    config = Config()
    assert classic_models.pin(config, Places()) is config


def test_a_version_is_pinned_to_its_digest_and_its_schema(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(COLUMNS)
    packaged(tmp_path / "two", {"model.onnx": COLUMNS}, {"schema": {"plan": Column(one_of=("free",))}})
    path = tmp_path / "m.onnx"
    own = f"{{path: {path}, schema: {{visits: {{}}}}}}"
    bare = f"models: {{m: {{kind: onnx, versions: {{1: {path}, 2: {tmp_path}/two, 3: {own}}}"
    found = pinned(tmp_path, bare + "}}")
    assert version(found) == Version(path=str(path), digest=digest(COLUMNS))
    assert version(found, "2").schema == {"plan": Column(one_of=("free",))}
    assert version(found, "3").schema == {"visits": Column()}
    given = pinned(tmp_path, bare + ", schema: {age: {min: 18}}, price: free}}")
    assert given.models["m"].price == "free"
    assert [list(version(given, name).schema) for name in "123"] == [["age"], ["age"], ["visits"]]
    assert snapshot.compile(given, "d").classic["m"].versions["2"].digest == digest(COLUMNS)


def test_every_model_that_cannot_be_read_is_told_where_it_is_configured(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(LINEAR[:-9])
    (tmp_path / "n.onnx").write_bytes(LINEAR)
    folder = packaged(tmp_path / "f", {"model.onnx": LINEAR}, {"schema": {"x": Column(min=2, max=1)}})
    with pytest.raises(ConfigError) as told:
        pinned(
            tmp_path,
            f"models:\n  m:\n    kind: onnx\n    versions:\n      1: {tmp_path}/m.onnx\n      2: {tmp_path}/gone.onnx\n"
            f"      3: {{path: {tmp_path}/n.onnx, digest: 'sha256:{'0' * 64}'}}\n      4: {folder}\n",
        )
    first, second, third, fourth = str(told.value).splitlines()
    assert first.startswith(f"a.yaml:5: models.m.versions.1: {tmp_path}/m.onnx: this file is cut")
    assert (
        second
        == f"a.yaml:6: models.m.versions.2: {tmp_path}/gone.onnx: cannot read this file: No such file or directory"
    )
    assert third.endswith(f"n.onnx: its digest is {digest(LINEAR)}, expected sha256:{'0' * 64}")
    assert fourth.startswith("a.yaml:8: models.m.versions.4.schema.x.min: larger than max (1)")


class Story:
    """A worker's sessions, and what it told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.sessions = Sessions(Log(ManualClock(), write=lambda line: self.told.append(json.loads(line))))

    def load(self, folder: Path, versions: str, schema: str = "") -> Any:
        text = f"models: {{m: {{kind: onnx, versions: {{{versions}}}{schema}}}}}"
        return self.sessions.load(snapshot.compile(pinned(folder, text), "d").classic)


def test_an_unchanged_version_keeps_its_session_over_a_reload_wherever_its_file_lies(tmp_path: Path) -> None:
    story, path, other = Story(), tmp_path / "m.onnx", tmp_path / "n.onnx"
    path.write_bytes(COLUMNS)
    other.write_bytes(LINEAR)
    before = story.load(tmp_path, f"1: {path}, 2: {other}")
    path.rename(tmp_path / "moved.onnx")
    after = story.load(tmp_path, f"1: {tmp_path}/moved.onnx, 2: {other}")
    assert after == before
    assert [line["event"] for line in story.told] == ["model_loaded"] * 2
    assert (story.told[0]["model"], story.told[0]["version"], story.told[0]["digest"]) == ("m", "1", digest(COLUMNS))


def test_another_file_at_the_same_path_or_another_schema_is_another_session(tmp_path: Path) -> None:
    story, path = Story(), tmp_path / "m.onnx"
    path.write_bytes(COLUMNS)
    before = story.load(tmp_path, f"1: {path}")
    stricter = story.load(tmp_path, f"1: {path}", ", schema: {age: {min: 18}}")
    assert stricter["m"]["1"] is not before["m"]["1"]
    path.write_bytes(LINEAR)
    assert story.load(tmp_path, f"1: {path}")["m"]["1"].signature != before["m"]["1"].signature


def test_columns_in_another_order_are_another_session(tmp_path: Path) -> None:
    story, path = Story(), tmp_path / "m.onnx"
    path.write_bytes(LINEAR)  # one matrix of four columns
    names = ["d", "a", "c", "b"]
    before = story.load(tmp_path, f"1: {path}", f", schema: {{{', '.join(f'{name}: {{}}' for name in names)}}}")
    after = story.load(tmp_path, f"1: {path}", f", schema: {{{', '.join(f'{name}: {{}}' for name in sorted(names))}}}")
    assert after["m"]["1"] is not before["m"]["1"]


def test_a_session_that_is_no_longer_wanted_ends_with_its_last_request(tmp_path: Path) -> None:
    story, path, other = Story(), tmp_path / "m.onnx", tmp_path / "n.onnx"
    path.write_bytes(COLUMNS)
    other.write_bytes(LINEAR)
    running = story.load(tmp_path, f"1: {path}")["m"]["1"]
    kept = weakref.ref(running)
    story.load(tmp_path, f"2: {other}")
    assert kept() is running
    del running
    assert kept() is None


def test_a_version_that_does_not_load_leaves_what_was_loaded(tmp_path: Path) -> None:
    story, path = Story(), tmp_path / "m.onnx"
    path.write_bytes(COLUMNS)
    before = story.load(tmp_path, f"1: {path}")
    with pytest.raises(ConfigError, match='column "aeg" is no input'):
        story.load(tmp_path, f"1: {path}", ", schema: {aeg: {}}")
    assert story.load(tmp_path, f"1: {path}")["m"]["1"] is before["m"]["1"]


def test_a_worker_that_starts_leaves_out_what_does_not_load_and_says_so(tmp_path: Path) -> None:
    story, path, other = Story(), tmp_path / "m.onnx", tmp_path / "n.onnx"
    path.write_bytes(COLUMNS)
    other.write_bytes(LINEAR)
    text = f"models: {{m: {{kind: onnx, versions: {{1: {path}, 2: {other}}}}}}}"
    classic = snapshot.compile(pinned(tmp_path, text), "d").classic
    path.write_bytes(LINEAR)  # after it was pinned
    assert list(story.sessions.load_what_can_be(classic)["m"]) == ["2"]
    (event,) = [line for line in story.told if line["event"] == "model_not_loaded"]
    assert (event["model"], event["version"]) == ("m", "1")
    assert f"expected {digest(COLUMNS)}" in event["reason"]


VERSIONS = [ClassicVersion("m", name, "unused", "", {}) for name in "123"]


def test_a_trial_that_crashes_names_the_model_it_crashed_on() -> None:
    crash = "import os; os.write(1, b'null\\n\"bad\"\\n'); os.kill(os.getpid(), 11)"
    assert classic_models.trial(VERSIONS, [sys.executable, "-c", crash]) == [
        None,
        "bad",
        "loading it ended with SIGSEGV",
    ]


def test_a_trial_that_cannot_begin_is_no_pass() -> None:
    told = classic_models.trial(VERSIONS, [sys.executable, "-c", "raise SystemExit(3)"])
    assert told == ["loading it ended with code 3", None, None]


def test_a_gateway_without_classic_models_imports_nothing_of_what_they_need() -> None:
    script = "import sys, gateway.runtime.worker, gateway.runtime.supervisor; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"numpy", "onnxruntime"} & {name.partition(".")[0] for name in done.stdout.split()}


def test_a_chain_on_a_model_of_numbers_is_a_doubt(tmp_path: Path) -> None:
    files = {"numbers": onnx_models.linear(), "texts": text_models.classifier()}
    for name, data in files.items():
        (tmp_path / f"{name}.onnx").write_bytes(data)
    models = {name: Onnx(versions={"1": str(tmp_path / f"{name}.onnx")}, chain="c") for name in files}
    found = list(classic_models.unchecked(Config(models={**models, "free": Onnx(versions={"1": "nowhere.onnx"})})))
    assert [(each.path, each.message) for each in found] == [
        (("models", "numbers", "chain"), "this model takes and gives numbers: no check reads them")
    ]
