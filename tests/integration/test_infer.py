"""Classic models over HTTP, asked as any client of the Open Inference Protocol may: by bytes on a socket."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from gateway.backends.onnx import Session
from gateway.store.records import Record
from tests.support import onnx_models
from tests.support.classic import ROW, config_of, get, header_of, infer, person, sessions
from tests.support.gateway import CHAT, OTHER_KEY, Running, config, post, serving
from tests.support.running import run, until
from tests.support.talking import body, error, status


def _ask(tmp_path: Path, *requests: bytes, **options: Any) -> tuple[list[bytes], list[Record]]:
    """The answers to requests sent one after another, and all records."""

    async def main() -> tuple[list[bytes], list[Record]]:
        async with serving(config_of(**options), tmp_path, sessions()) as gateway:
            answers = [await gateway.raw(request) for request in requests]
            return answers, gateway.records()

    return run(main())


def test_a_row_is_answered_and_recorded(tmp_path: Path) -> None:
    (answer,), (record,) = _ask(tmp_path, infer({**ROW, "id": "7"}))
    assert status(answer) == 200
    found = json.loads(body(answer))
    assert (found["model_name"], found["model_version"], found["id"]) == ("churn", "10", "7")
    scores, label = found["outputs"]
    expected: Any = onnxruntime.InferenceSession(onnx_models.linear()).run(
        None, {"x": np.array([[1, 2, 3, 4]], np.float32)}
    )
    assert scores == {"name": "scores", "datatype": "FP32", "shape": [1, 2], "data": expected[0].ravel().tolist()}
    assert label == {"name": "label", "datatype": "INT64", "shape": [1], "data": expected[1].tolist()}
    assert (record.endpoint, record.alias, record.version, record.rows) == ("infer", "churn", "10", 1)
    assert (record.backend, record.served_model, record.status, record.code, record.outcome) == (
        *("onnx", "churn", 200, "ok", "answered"),
    )


def test_binary_goes_in_and_out_as_onnxruntime_has_it(tmp_path: Path) -> None:
    rows = np.random.default_rng(3).normal(size=(1000, 4)).astype(np.float32)
    header = json.dumps(
        {
            "inputs": [
                {"name": "x", "shape": [1000, 4], "datatype": "FP32", "parameters": {"binary_data_size": 16000}}
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    extra = b"Inference-Header-Content-Length: %d\r\n" % len(header)
    (answer,), (record,) = _ask(tmp_path, infer(header + rows.tobytes(), extra=extra))
    assert status(answer) == 200
    length = int(header_of(answer, "inference-header-content-length"))
    assert header_of(answer, "content-type") == "application/octet-stream"
    scores, label = json.loads(body(answer)[:length])["outputs"]
    expected: Any = onnxruntime.InferenceSession(onnx_models.linear()).run(None, {"x": rows})
    assert scores["parameters"] == {"binary_data_size": 8000}
    assert label["parameters"] == {"binary_data_size": 8000}
    assert body(answer)[length:] == expected[0].tobytes() + expected[1].tobytes()
    assert record.rows == 1000


def test_a_version_can_be_asked_for_and_its_schema_holds(tmp_path: Path) -> None:
    path = "/v2/models/churn/versions/2/infer"
    (good, bad), (first, second) = _ask(
        tmp_path, post(person(), path=path), post(person(age=17, plan="gold"), path=path)
    )
    assert json.loads(body(good))["model_version"] == "2"
    assert first.version == "2"
    assert status(bad) == 400
    assert json.loads(body(bad)) == {"error": 'row 0, column "age": must be at least 18'}
    assert (second.code, second.outcome, second.rows) == ("invalid_row", "refused", 1)


def test_names_with_slashes_may_be_written_plain_or_encoded(tmp_path: Path) -> None:
    answers, records = _ask(tmp_path, infer(model="other/churn"), infer(model="other%2Fchurn", key=OTHER_KEY))
    assert [status(answer) for answer in answers] == [200, 200]
    assert {record.alias for record in records} == {"other/churn"}


def test_unknown_and_forbidden_models_are_one_answer(tmp_path: Path) -> None:
    paths = ["/v2/models/{}/infer", "/v2/models/{}/versions/9/infer"]
    for path in paths:
        answers, _ = _ask(
            tmp_path / path.replace("/", "_"),
            post(ROW, path=path.format("churn"), key=OTHER_KEY),
            post(ROW, path=path.format("none"), key=OTHER_KEY),
        )
        forbidden, unknown = (body(answer).replace(b"churn", b"none") for answer in answers)
        assert [status(answer) for answer in answers] == [404, 404]
        assert forbidden == unknown
    answers, _ = _ask(
        tmp_path / "asked",
        *(get(f"/v2/models/{name}{rest}", OTHER_KEY) for rest in ("", "/ready") for name in ("churn", "none")),
    )
    assert [status(answer) for answer in answers] == [404] * 4


def test_an_unknown_version_is_a_404_that_says_which_there_are(tmp_path: Path) -> None:
    (answer,), _ = _ask(tmp_path, post(ROW, path="/v2/models/churn/versions/3/infer"))
    assert status(answer) == 404
    assert json.loads(body(answer)) == {"error": "the model churn has no version 3; it has 2, 10"}


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"inputs": []}, "inputs.x: missing; the model needs it"),
        ({"inputs": [{**ROW["inputs"][0], "name": "z"}]}, "inputs.z: the model has no such input; it has x"),
        ({"inputs": [{**ROW["inputs"][0], "shape": [4, 1]}]}, "inputs.x: shape is [4, 1], the model takes [-1, 4]"),
        ({"inputs": [{**ROW["inputs"][0], "datatype": "FP64"}]}, "inputs.x: datatype is FP64, the model takes FP32"),
        ({"inputs": [{**ROW["inputs"][0], "datatype": "BF16"}]}, "inputs.x: datatype is BF16, the model takes FP32"),
        ({"inputs": [{**ROW["inputs"][0], "data": [1, 2, 3]}]}, "inputs.x: 3 elements of data, but shape"),
        ({"inputs": [{**ROW["inputs"][0], "data": [1, None, 3, 4]}]}, "inputs.x: element 1 is null, and no schema"),
        ({"inputs": [{**ROW["inputs"][0], "data": [1, float("nan"), 3, 4]}]}, "inputs.x: NaN and Infinity are no"),
        ({"inputs": [{**ROW["inputs"][0], "data": [1, float("inf"), 3, 4]}]}, "inputs.x: NaN and Infinity are no"),
        ({**ROW, "outputs": [{"name": "z"}]}, "outputs.z: the model has no such output; it has scores, label"),
        (b"{", "the body is not valid JSON"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_a_400_in_the_protocols_shape(
    tmp_path: Path, request_: dict[str, Any] | bytes, told: str
) -> None:
    (answer,), (record,) = _ask(tmp_path, infer(request_))
    assert status(answer) == 400
    assert error(answer).startswith(told)  # type: ignore[attr-defined]
    assert (record.code, record.outcome) == ("invalid_request", "refused")


def test_a_key_is_asked_for_by_all_but_health(tmp_path: Path) -> None:
    asked = [get("/v2", None), get("/v2/models/churn", None), get("/v2/models/churn/ready", "wrong")]
    answers, _ = _ask(tmp_path, *asked, infer(key="wrong"))
    assert [status(answer) for answer in answers] == [401] * 4
    assert all("no valid API key" in json.loads(body(answer))["error"] for answer in answers)


def test_health_needs_no_key_and_leaves_no_record(tmp_path: Path) -> None:
    answers, records = _ask(tmp_path, get("/v2/health/live", None), get("/v2/health/ready", None))
    assert [(status(answer), body(answer)) for answer in answers] == [(200, b'{"live":true}'), (200, b'{"ready":true}')]
    assert records == []


def test_a_gateway_that_drains_lives_and_is_not_ready(tmp_path: Path) -> None:
    async def main() -> list[bytes]:
        async with serving(config_of(), tmp_path, sessions()) as gateway:
            gateway.gw.draining = True
            return [await gateway.raw(get(f"/v2/health/{what}", None)) for what in ("live", "ready")]

    assert [status(answer) for answer in run(main())] == [200, 503]


def test_the_gateway_and_its_models_say_what_they_are(tmp_path: Path) -> None:
    (server, model, version, ready), records = _ask(
        tmp_path,
        get("/v2"),
        get("/v2/models/churn"),
        get("/v2/models/churn/versions/2"),
        get("/v2/models/churn/versions/2/ready"),
    )
    assert json.loads(body(server))["extensions"] == ["binary_tensor_data"]
    told = json.loads(body(model))
    assert (told["name"], told["versions"]) == ("churn", ["2", "10"])
    assert told["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert [spec["name"] for spec in json.loads(body(version))["inputs"]] == ["age", "plan", "visits", "member"]
    assert json.loads(body(ready)) == {"name": "churn", "ready": True}
    assert {record.endpoint for record in records} == {"models"}


def test_other_paths_and_methods_are_errors_in_the_protocols_shape(tmp_path: Path) -> None:
    answers, _ = _ask(
        tmp_path,
        get("/v2/repository/index"),
        get("/v2/models/churn/infer"),
        get("/v2/models/churn", method="DELETE"),
        post({}, path="/v2"),
    )
    assert [status(answer) for answer in answers] == [404, 405, 405, 405]
    assert all(isinstance(json.loads(body(answer))["error"], str) for answer in answers)


@pytest.mark.parametrize(("encoding", "pack"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress)])
def test_a_compressed_request_is_read(tmp_path: Path, encoding: bytes, pack: Any) -> None:
    extra = b"content-encoding: %b\r\n" % encoding
    (good, other), _ = _ask(
        tmp_path,
        infer(pack(json.dumps(ROW).encode()), extra=extra),
        infer(b"...", extra=b"content-encoding: br\r\n"),
    )
    assert status(good) == 200
    assert status(other) == 400
    assert "gzip and deflate are" in json.loads(body(other))["error"]


def test_a_bomb_is_a_413(tmp_path: Path) -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    (answer,), _ = _ask(tmp_path, infer(bomb, extra=b"content-encoding: gzip\r\n"), limits={"body": 100_000})
    assert status(answer) == 413


def test_a_model_that_raises_is_a_500_that_names_it_and_none_of_the_data(tmp_path: Path) -> None:
    request = {"inputs": [{"name": "i", "shape": [1], "datatype": "INT64", "data": [4711]}]}
    (answer,), (record,) = _ask(tmp_path, infer(request, "prices"))
    assert status(answer) == 500
    told = "the model prices (version 1) failed on this request in its node look_up"
    assert json.loads(body(answer)) == {"error": told}
    assert (record.code, record.outcome) == ("model_failed", "failed")


SLOW = {"inputs": [{"name": "count", "shape": [], "datatype": "INT64", "data": [2**40]}]}


def test_a_run_over_the_total_limit_is_a_504(tmp_path: Path) -> None:
    (answer,), (record,) = _ask(tmp_path, infer(SLOW, "slow"), limits={"total_s": 0.1})
    assert status(answer) == 504
    assert (record.code, record.outcome) == ("upstream_timeout", "failed")


def test_a_long_run_holds_up_no_other_request_and_ends_when_its_caller_leaves(tmp_path: Path) -> None:
    async def main() -> tuple[bytes, list[Record]]:
        async with serving(config_of(), tmp_path, sessions()) as gateway:
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(infer(SLOW, "slow"))
            await until(lambda: gateway.gw.runs.outstanding == 1, "the run begins")
            answer = await gateway.raw(infer())
            writer.close()
            await until(lambda: gateway.gw.runs.outstanding == 0, "the run ends")
            await until(lambda: gateway.gw.in_flight == 0, "the request ends")
            return answer, gateway.records()

    answer, records = run(main())
    assert status(answer) == 200
    assert [record.outcome for record in records] == ["answered", "cancelled"]


def test_many_at_once_each_get_their_own_answer(tmp_path: Path) -> None:
    rows = np.random.default_rng(5).normal(size=(100, 4)).astype(np.float32)

    def request(at: int) -> bytes:
        sent = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": rows[at].tolist()}
        return infer({"inputs": [sent], "id": str(at)})

    async def main() -> list[bytes]:
        async with serving(config_of(), tmp_path, sessions()) as gateway:
            return await asyncio.gather(*(gateway.raw(request(at)) for at in range(100)))

    direct = onnxruntime.InferenceSession(onnx_models.linear())
    for at, answer in enumerate(run(main())):
        expected: Any = direct.run(None, {"x": rows[at : at + 1]})
        found = json.loads(body(answer))
        assert found["id"] == str(at)
        assert np.array(found["outputs"][0]["data"], np.float32).tobytes() == expected[0].tobytes()


def test_chat_with_a_classic_model_and_infer_with_a_language_model_are_400s_that_say_so(tmp_path: Path) -> None:
    (chat, asked, question), records = _ask(
        tmp_path, post({**CHAT, "model": "churn"}), infer(model="llm"), get("/v2/models/llm")
    )
    assert [status(answer) for answer in (chat, asked, question)] == [400, 400, 400]
    assert error(chat)["code"] == "not_served"
    assert "/v2/models/" in error(chat)["message"]
    assert [record.code for record in records] == ["not_served"] * 3


def test_texts_travel_in_binary_and_json(tmp_path: Path) -> None:
    models = {"same": {"kind": "onnx", "versions": {"1": "unused"}}}
    header = b'{"inputs":[{"name":"x","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":11}}],'
    header += b'"outputs":[{"name":"y","parameters":{"binary_data":true}}]}'
    texts = b"\x03\0\0\0a\xc3\xa4\0\0\0\0"
    extra = b"Inference-Header-Content-Length: %d\r\n" % len(header)

    async def main(gateway: Running) -> list[bytes]:
        wrong = header + texts[:-1] + b"\x01"
        as_json = {"inputs": [{"name": "x", "shape": [2], "datatype": "BYTES", "data": ["aä", ""]}]}
        return [
            await gateway.raw(infer(header + texts, "same", extra=extra)),
            await gateway.raw(infer(wrong, "same", extra=extra)),
            await gateway.raw(infer(as_json, "same")),
        ]

    async def serve() -> list[bytes]:
        session = Session(onnx_models.identity(TensorProto.STRING), "same (version 1)")
        async with serving(config({}, models), tmp_path, {"same": {"1": session}}) as gateway:
            return await main(gateway)

    good, wrong, plain = run(serve())
    assert body(good).endswith(texts)
    assert status(wrong) == 400
    assert "do not make the 2 elements of shape [2]" in json.loads(body(wrong))["error"]
    assert json.loads(body(plain))["outputs"][0]["data"] == ["aä", ""]
