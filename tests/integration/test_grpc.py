"""Classic models over gRPC, asked by tritonclient as it comes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime
import pytest
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from gateway.dataplane import grpc_calls
from gateway.wire.infer import grpc as infer_grpc
from tests.support import gateway_process, onnx_models
from tests.support.classic import config_of, sessions
from tests.support.gateway import KEY, OTHER_KEY, Running, serving
from tests.support.running import run, until

HEADERS = {"authorization": f"Bearer {KEY}"}


@contextlib.asynccontextmanager
async def listening(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[Running, InferenceServerClient, int]]:
    """A gateway with the classic models of the tests, and a client of its gRPC listener."""
    async with serving(config_of(**options), tmp_path, sessions()) as gateway:
        server, port = await grpc_calls.listen(gateway.gw, "127.0.0.1:0")
        try:
            async with InferenceServerClient(f"127.0.0.1:{port}") as client:
                yield gateway, client, port
        finally:
            await server.stop(0)


def tensor(name: str, values: np.ndarray[Any, Any], datatype: str) -> InferInput:
    made = InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values)
    return made


def four(rows: int = 1) -> np.ndarray[Any, Any]:
    return np.random.default_rng(5).normal(size=(rows, 4)).astype(np.float32)


async def refusal(asking: Any) -> InferenceServerException:
    with pytest.raises(InferenceServerException) as caught:
        await asking
    return caught.value


def test_rows_are_answered_bit_for_bit_as_onnxruntime_has_them_and_recorded(tmp_path: Path) -> None:
    rows = four(1000)

    async def main() -> None:
        async with listening(tmp_path) as (gateway, client, _):
            asked = [tensor("x", rows, "FP32")]
            answer = await client.infer("churn", asked, request_id="7", headers={**HEADERS, "x-request-id": "mine"})
            scores, label = onnxruntime.InferenceSession(onnx_models.linear()).run(None, {"x": rows})
            assert answer.as_numpy("scores").tobytes() == np.asarray(scores).tobytes()
            assert answer.as_numpy("label").tobytes() == np.asarray(label).tobytes()
            told = answer.get_response()
            assert (told.model_name, told.model_version, told.id) == ("churn", "10", "7")
            (record,) = gateway.records()
            assert (record.endpoint, record.alias, record.version, record.rows) == ("infer", "churn", "10", 1000)
            assert (record.tenant, record.status, record.outcome) == ("acme", 200, "answered")
            assert record.caller_request_id == "mine"

    run(main())


def test_texts_whole_numbers_and_booleans_arrive_and_only_what_was_asked_comes_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with listening(tmp_path) as (_, client, _):
            inputs = [
                tensor("age", np.array([[40.0]], np.float32), "FP32"),
                tensor("plan", np.array([["pro"]], object), "BYTES"),
                tensor("visits", np.array([[2]], np.int64), "INT64"),
                tensor("member", np.array([[True]]), "BOOL"),
            ]
            told = await client.get_model_metadata("churn", "2", headers=HEADERS)
            wanted = told.outputs[0].name
            answer = await client.infer("churn", inputs, "2", outputs=[InferRequestedOutput(wanted)], headers=HEADERS)
            assert [output.name for output in answer.get_response().outputs] == [wanted]
            inputs[1] = tensor("plan", np.array([["gold"]], object), "BYTES")
            error = await refusal(client.infer("churn", inputs, "2", headers=HEADERS))
            assert error.status() == "StatusCode.INVALID_ARGUMENT"
            assert "plan" in error.message()
            assert "gold" not in error.message()

    run(main())


def test_the_server_and_its_models_say_what_they_are(tmp_path: Path) -> None:
    async def main() -> None:
        async with listening(tmp_path) as (gateway, client, port):
            assert await client.is_server_live()
            assert await client.is_server_ready()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                asking = channel.unary_unary(f"/{infer_grpc.SERVICE}/ServerMetadata")(
                    b"", metadata=tuple(HEADERS.items())
                )
                await asking
                assert (await asking.trailing_metadata())["x-request-id"] == gateway.records()[-1].id
            assert (await client.get_server_metadata(headers=HEADERS)).name == "lockgate"
            assert await client.is_model_ready("churn", headers=HEADERS)
            model = await client.get_model_metadata("churn", headers=HEADERS)
            assert (model.name, list(model.versions)) == ("churn", ["2", "10"])
            assert (model.inputs[0].name, list(model.inputs[0].shape)) == ("x", [-1, 4])
            gateway.gw.draining = True
            assert not await client.is_server_ready()

    run(main())


def test_every_refusal_has_grpcs_own_word(tmp_path: Path) -> None:
    async def main() -> None:
        async with listening(tmp_path) as (gateway, client, _):
            row = [tensor("x", four(), "FP32")]
            statuses = {
                "no key": await refusal(client.infer("churn", row)),
                "wrong key": await refusal(client.infer("churn", row, headers={"authorization": "Bearer no"})),
                "unknown model": await refusal(client.infer("nothing", row, headers=HEADERS)),
                "unknown version": await refusal(client.infer("churn", row, "3", headers=HEADERS)),
                "forbidden": await refusal(
                    client.infer("churn", row, headers={"authorization": f"Bearer {OTHER_KEY}"})
                ),
                "language model": await refusal(client.infer("llm", row, headers=HEADERS)),
                "wrong type": await refusal(
                    client.infer("churn", [tensor("x", np.ones((1, 4)), "FP64")], headers=HEADERS)
                ),
            }
            words = {what: error.status().removeprefix("StatusCode.") for what, error in statuses.items()}
            assert words == {
                "no key": "UNAUTHENTICATED",
                "wrong key": "UNAUTHENTICATED",
                "unknown model": "NOT_FOUND",
                "unknown version": "NOT_FOUND",
                "forbidden": "NOT_FOUND",
                "language model": "INVALID_ARGUMENT",
                "wrong type": "INVALID_ARGUMENT",
            }
            assert len(gateway.records()) == len(words)

    run(main())


def test_bytes_that_are_no_message_are_refused_after_the_key_and_recorded(tmp_path: Path) -> None:
    async def main() -> None:
        async with listening(tmp_path) as (gateway, _, port), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            infer = channel.unary_unary(f"/{infer_grpc.SERVICE}/ModelInfer")
            for metadata, code in (
                ((), grpc.StatusCode.UNAUTHENTICATED),
                ((("authorization", f"Bearer {KEY}"),), grpc.StatusCode.INVALID_ARGUMENT),
            ):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await infer(b"\xff\xff", metadata=metadata)
                assert caught.value.code() is code
                told = caught.value.trailing_metadata()
                assert told is not None
                assert told["x-request-id"] == gateway.records()[-1].id
            unknown = channel.unary_unary(f"/{infer_grpc.SERVICE}/RepositoryIndex")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await unknown(b"")
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert [record.code for record in gateway.records()] == ["invalid_api_key", "invalid_request"]

    run(main())


def test_a_caller_that_leaves_is_recorded_as_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with listening(tmp_path) as (gateway, client, _):
            rounds = [tensor("count", np.array(10_000_000), "INT64")]
            asking = asyncio.ensure_future(client.infer("slow", rounds, headers=HEADERS))
            await until(lambda: gateway.gw.in_flight, "the model runs")
            asking.cancel()
            await until(lambda: not gateway.gw.in_flight, "the request ended")
            assert gateway.records()[-1].outcome == "cancelled"

    run(main())


def test_serve_offers_it_on_one_port_for_all_workers_and_stops_with_them(tmp_path: Path) -> None:
    server = {"workers": 2, "grpc": "127.0.0.1:0"}
    with gateway_process.serving(tmp_path, gateway_process.minimal(server=server)) as gateway:
        address = json.loads((gateway.state_dir / "run" / "gateway.json").read_bytes())["grpc"]

        async def ask() -> None:
            for _ in range(8):  # a connection each, so both workers are met
                async with InferenceServerClient(address) as client:
                    assert await client.is_server_ready()
                    assert (
                        await client.get_server_metadata(headers={"authorization": f"Bearer {gateway_process.KEY}"})
                    ).name
                    error = await refusal(client.get_server_metadata())
                    assert error.status() == "StatusCode.UNAUTHENTICATED"

        run(ask())
        assert gateway.stop() == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address.rsplit(":", 1), timeout=2).close()
