"""Servers of the Open Inference Protocol behind the gateway; the real one here is another gateway."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np

from gateway.store.records import Record
from tests.support.classic import ROW, config_of, get, header_of, infer, person, sessions
from tests.support.gateway import KEY, config, post, serving
from tests.support.running import run
from tests.support.talking import body, status
from tests.support.upstream import Upstream, says, unary


def _both(tmp_path: Path, *requests: bytes, served: str = "churn") -> tuple[list[bytes], list[bytes], list[Record]]:
    """The answers of a gateway asked directly, those of a gateway in front of it, and the records of the latter."""
    names = {"churn": {"backend": "v", "served_model": served}, "prices": {"backend": "v"}}

    async def main() -> tuple[list[bytes], list[bytes], list[Record]]:
        async with serving(config_of(), tmp_path / "behind", sessions()) as behind:
            made = config({"v": [behind.url]}, names, kind="v2")
            with_key = msgspec.structs.replace(made.backends["v"], api_key=KEY)
            made = msgspec.structs.replace(made, backends={"v": with_key})
            async with serving(made, tmp_path / "front") as front:
                direct = [await behind.raw(request) for request in requests]
                return direct, [await front.raw(request) for request in requests], front.records()

    return run(main())


def test_a_server_of_the_protocol_behind_the_gateway_answers_as_it_does_directly(tmp_path: Path) -> None:
    header = b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","parameters":{"binary_data_size":16}}],'
    header += b'"parameters":{"binary_data_output":true}}'
    binary = header + np.array([[1, 2, 3, 4]], np.float32).tobytes()
    direct, through, records = _both(
        tmp_path,
        infer(),
        infer(binary, extra=b"Inference-Header-Content-Length: %d\r\n" % len(header)),
        post(person(), path="/v2/models/churn/versions/2/infer"),
        get("/v2/models/churn"),
        get("/v2/models/churn/versions/2/ready"),
    )
    assert [status(answer) for answer in direct] == [200] * 5
    assert [body(answer) for answer in through] == [body(answer) for answer in direct]
    assert header_of(through[1], "inference-header-content-length") == header_of(
        direct[1], "inference-header-content-length"
    )
    assert [(record.backend, record.alias, record.version, record.code) for record in records] == [
        ("v", "churn", "", "ok"),
        ("v", "churn", "", "ok"),
        ("v", "churn", "2", "ok"),
        ("v", "churn", "", "ok"),
        ("v", "churn", "2", "ok"),
    ]


def test_a_version_that_a_server_behind_does_not_have_is_told_as_that(tmp_path: Path) -> None:
    direct, (answer,), (record,) = _both(tmp_path, post(ROW, path="/v2/models/churn/versions/9/infer"))
    assert [status(direct[0]), status(answer)] == [404, 400]
    assert "has no such model or version" in json.loads(body(answer))["error"]
    assert record.code == "not_served"


def test_the_path_upstream_holds_the_served_model(tmp_path: Path) -> None:
    _, (answer,), (record,) = _both(tmp_path, infer(), served="other/churn")
    assert json.loads(body(answer))["model_name"] == "other/churn"
    assert record.served_model == "other/churn"


def test_what_a_server_behind_says_of_a_wrong_request_passes_and_its_failures_do_not(tmp_path: Path) -> None:
    wrong = {"inputs": [{**ROW["inputs"][0], "name": "z"}]}
    raises = {"inputs": [{"name": "i", "shape": [1], "datatype": "INT64", "data": [4711]}]}
    direct, through, _ = _both(tmp_path, infer(wrong), infer(raises, "prices"), infer(b"{"))
    assert [status(answer) for answer in direct] == [400, 500, 400]
    assert [status(answer) for answer in through] == [400, 502, 400]
    assert body(through[0]) == body(direct[0])
    assert json.loads(body(through[1])) == {"error": "the backend failed with status 500"}


def test_a_server_behind_gets_what_was_checked_and_nothing_else_of_the_body(tmp_path: Path) -> None:
    async def main() -> tuple[bytes, bytes]:
        async with Upstream([says(unary())]) as upstream:
            found = config({"v": [upstream.url]}, {"churn": {"backend": "v"}}, kind="v2")
            async with serving(found, tmp_path) as gateway:
                request = json.dumps({**ROW, "own": 1}).encode()[:-1] + b', "inputs": []}'
                await gateway.raw(infer(request))
                refused = {**ROW, "parameters": {"sequence_id": 7}}
                answer = await gateway.raw(infer(refused))
                assert len(upstream.seen) == 1
                return upstream.seen[0].body, answer

    sent, answer = run(main())
    assert json.loads(sent) == {"inputs": []}
    assert json.loads(body(answer)) == {"error": "parameters.sequence_id is not accepted by this gateway"}
