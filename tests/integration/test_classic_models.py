"""Classic models in a running gateway: pinned at the start, swapped under load, and never half changed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.integration.test_serve_start import refused
from tests.support import onnx_models
from tests.support.gateway_process import KEY, Answer, GatewayProcess, launch, minimal, serving, until, write
from tests.support.model_folders import digest, packaged


def adding(number: float, opset: int = 17) -> bytes:
    """`x` FP32 [n] → `y`, more by `number`."""
    x, y = onnx_models.tensor("x", TensorProto.FLOAT, ["n"]), onnx_models.tensor("y", TensorProto.FLOAT, ["n"])
    node = helper.make_node("Add", ["x", "k"], ["y"])
    return onnx_models.model([node], [x], [y], {"k": np.array([number], np.float32)}, opset)


def configuration(versions: dict[str, Any], schema: dict[str, Any] | None = None) -> dict[str, Any]:
    model = {"kind": "onnx", "versions": {name: str(path) for name, path in versions.items()}, "schema": schema or {}}
    return minimal(models={"small": {"backend": "scripted"}, "add": model})


def body(x: float = 1) -> bytes:
    return json.dumps({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [x]}]}).encode()


def ask(gateway: GatewayProcess, x: float = 1, version: str = "") -> Answer:
    path = f"/v2/models/add/versions/{version}/infer" if version else "/v2/models/add/infer"
    return gateway.request("POST", path, body(x), authorization=f"Bearer {KEY}")


def said(answer: Answer) -> tuple[str, float]:
    """The version that answered, and what."""
    assert answer.status == 200, answer.body
    return answer.json["model_version"], answer.json["outputs"][0]["data"][0]


def reload(gateway: GatewayProcess, changed: dict[str, Any], count: int = 1) -> None:
    write(gateway.folder, changed)
    gateway.signal(signal.SIGHUP)
    gateway.until_event("worker_reloaded", count)


def until_refused(gateway: GatewayProcess, reason: str) -> None:
    """Waits until a reload was refused for it."""
    until(lambda: any(reason in each["error"] for each in gateway.events("config_reload_failed")), reason)


@pytest.fixture
def one(tmp_path: Path) -> Path:
    path = tmp_path / "one.onnx"
    path.write_bytes(adding(1))
    return path


def test_versions_stand_side_by_side_and_the_highest_answers(tmp_path: Path, one: Path) -> None:
    two = packaged(tmp_path / "two", {"model.onnx": adding(2)}, {"schema": {"x": {"min": 0}}})
    with serving(tmp_path, configuration({"9": one, "10": two})) as gateway:
        assert said(ask(gateway)) == ("10", 3)
        assert said(ask(gateway, version="9")) == ("9", 2)
        assert said(ask(gateway, -1, version="9")) == ("9", 0)
        refusal = ask(gateway, -1)  # the folder's own schema
        assert (refusal.status, refusal.json) == (400, {"error": 'row 0, column "x": must be at least 0'})
        listed = gateway.request("GET", "/v1/models", authorization=f"Bearer {KEY}").json["data"]
        assert {each["id"]: each.get("kind") for each in listed} == {"add": "classic", "small": None}
        shown = gateway.request("GET", "/v1/models/add", authorization=f"Bearer {KEY}").json
        assert shown in listed
        assert gateway.chat(model="add").status == 400
        loaded = {each["version"]: each["digest"] for each in gateway.events("model_loaded")}
        assert loaded == {"9": digest(adding(1)), "10": digest(adding(2))}


def test_the_columns_of_a_matrix_are_checked_in_the_order_they_are_written_in(tmp_path: Path, one: Path) -> None:
    one.write_bytes(onnx_models.linear())
    schema = {"z": {"max": 1}, "a": {"max": 2}, "m": {"max": 3}, "b": {"max": 4}}
    with serving(tmp_path, configuration({"1": one}, schema)) as gateway:
        for rows, refusal in (
            ([[1, 2, 3, 4]], None),
            ([[1, 2, 3, 4], [0, 3, 0, 0]], 'row 1, column "a": must be at most 2'),
            ([[0, 0, 0, 4.5]], 'row 0, column "b": must be at most 4'),
        ):
            asked = {"inputs": [{"name": "x", "shape": [len(rows), 4], "datatype": "FP32", "data": rows}]}
            answer = gateway.request(
                "POST", "/v2/models/add/infer", json.dumps(asked).encode(), authorization=f"Bearer {KEY}"
            )
            assert answer.json.get("error") == refusal


def test_a_new_version_is_swapped_in_under_load_without_an_error(tmp_path: Path, one: Path) -> None:
    two = tmp_path / "two.onnx"
    two.write_bytes(adding(2))
    answers: Counter[tuple[str, float]] = Counter()
    problems: list[object] = []
    done = threading.Event()

    def keep_asking(gateway: GatewayProcess) -> None:
        connection: http.client.HTTPConnection = gateway.connect()
        while not done.is_set():
            connection.request("POST", "/v2/models/add/infer", body(), {"authorization": f"Bearer {KEY}"})
            response = connection.getresponse()
            answer = Answer(response.status, {}, response.read())
            if answer.status == 200:
                answers[said(answer)] += 1
            else:
                problems.append(answer)
        connection.close()

    with serving(tmp_path, configuration({"1": one})) as gateway:
        askers = [threading.Thread(target=keep_asking, args=(gateway,)) for _ in range(3)]
        for asker in askers:
            asker.start()
        try:
            until(lambda: answers[("1", 2.0)] > 20, "answers of version 1")
            reload(gateway, configuration({"1": one, "2": two}))
            until(lambda: answers[("2", 3.0)] > 20, "answers of version 2")
            reload(gateway, configuration({"1": one}), count=2)  # and back
            before = answers[("1", 2.0)]
            until(lambda: answers[("1", 2.0)] > before + 20, "answers of version 1 again")
        finally:
            done.set()
            for asker in askers:
                asker.join()
        assert not problems
        assert answers.keys() == {("1", 2.0), ("2", 3.0)}
        # Version 1 was loaded once, though three configurations named it.
        assert [each["version"] for each in gateway.events("model_loaded")] == ["1", "2"]


def test_a_run_ends_with_the_version_it_began_with_though_a_reload_removes_it(tmp_path: Path, one: Path) -> None:
    long = tmp_path / "long.onnx"
    long.write_bytes(onnx_models.rounds())
    asked = {"inputs": [{"name": "count", "shape": [], "datatype": "INT64", "data": [200_000]}]}  # some seconds
    answers: list[Answer] = []

    def ask_long(gateway: GatewayProcess) -> None:
        path, data = "/v2/models/add/versions/2/infer", json.dumps(asked).encode()
        answers.append(gateway.request("POST", path, data, authorization=f"Bearer {KEY}"))

    def in_flight(gateway: GatewayProcess) -> bool:
        text = gateway.request("GET", "/metrics", ops=True).body
        return b'lockgate_requests_in_flight{worker="0"} 1.0' in text

    with serving(tmp_path, configuration({"1": one, "2": long})) as gateway:
        asker = threading.Thread(target=ask_long, args=(gateway,))
        asker.start()
        until(lambda: in_flight(gateway), "the long run is in flight")
        reload(gateway, configuration({"1": one}))
        assert ask(gateway, version="2").status == 404
        assert said(ask(gateway)) == ("1", 2)
        asker.join()
    assert [(answer.status, answer.json["model_version"]) for answer in answers] == [(200, "2")]


def test_another_file_at_the_same_path_is_taken_on_reload_and_is_another_snapshot(tmp_path: Path, one: Path) -> None:
    with serving(tmp_path, configuration({"1": one})) as gateway:
        before = gateway.readiness()["snapshot"]
        one.write_bytes(adding(5))
        assert said(ask(gateway)) == ("1", 2)  # not before it is asked for
        gateway.signal(signal.SIGHUP)
        gateway.until_event("worker_reloaded")
        assert said(ask(gateway)) == ("1", 6)
        assert gateway.readiness()["snapshot"] != before


def bad(folder: Path) -> dict[str, tuple[Any, str]]:
    """What to configure as version 2, and what is told."""
    cut, newer, wide = folder / "cut.onnx", folder / "newer.onnx", folder / "wide.onnx"
    cut.write_bytes(adding(2)[:-20])
    newer.write_bytes(adding(2, opset=99))
    wide.write_bytes(onnx_models.linear())
    changed = packaged(folder / "changed", {"model.onnx": adding(2)})
    (changed / "model.onnx").write_bytes(adding(3))
    expected = f"{changed}/model.onnx: its digest is {digest(adding(3))}, its manifest expects {digest(adding(2))}"
    return {
        "cut": (cut, f"{cut}: this file is cut: "),
        "newer": (newer, f"{newer}: it is written for opset 99, which is newer than ONNX Runtime"),
        "changed": (changed, expected),
        "wide": (wide, f"{wide}: the schema has 1 columns"),  # [n, 4], and a schema of [n]
        "gone": (folder / "gone.onnx", f"{folder}/gone.onnx: cannot read this file: No such file or directory"),
    }


@pytest.mark.parametrize("which", ["newer", "changed"])  # on reload, below, all of them
def test_a_model_that_does_not_load_keeps_the_gateway_from_starting_and_says_which_file(
    tmp_path: Path, one: Path, which: str
) -> None:
    path, told = bad(tmp_path)[which]
    write(tmp_path / "config", configuration({"1": one, "2": path}))
    text = refused(launch(tmp_path / "config", tmp_path / "state"))
    assert told in text
    assert "models.add.versions.2" in text
    assert "gateway.yaml:1" in text


def test_a_model_that_does_not_load_refuses_the_reload_whole_and_the_old_one_serves_on(
    tmp_path: Path, one: Path
) -> None:
    with serving(tmp_path, configuration({"1": one})) as gateway:
        before = gateway.readiness()["snapshot"]
        for which, (path, told) in bad(tmp_path).items():
            write(gateway.folder, configuration({"1": one, "2": path}, {"f": {}} if which == "wide" else None))
            gateway.signal(signal.SIGHUP)
            until_refused(gateway, told)
            ready = gateway.request("GET", "/readyz", ops=True)
            assert (ready.status, ready.json["snapshot"], ready.json["config_reload_failed"]) == (200, before, True)
            assert said(ask(gateway)) == ("1", 2)
        reload(gateway, configuration({"1": one, "3": one}))
        assert said(ask(gateway)) == ("3", 2)
        assert gateway.readiness()["config_reload_failed"] is False


def test_a_worker_replaced_after_a_file_changed_serves_all_but_that_model(tmp_path: Path, one: Path) -> None:
    with serving(tmp_path, configuration({"1": one})) as gateway:
        one.write_bytes(adding(5))
        os.kill(gateway.worker_pids()[0], signal.SIGKILL)
        (event,) = gateway.until_event("model_not_loaded")
        assert f"expected {digest(adding(1))}" in event["reason"]
        gateway.until_event("worker_ready", 2)
        assert gateway.chat().status == 200
        answer = ask(gateway)
        assert (answer.status, answer.json) == (503, {"error": "version 1 of the model add is not loaded"})
        gateway.signal(signal.SIGHUP)
        gateway.until_event("worker_reloaded")
        assert said(ask(gateway)) == ("1", 6)
