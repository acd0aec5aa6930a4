"""NVIDIA's `tritonclient`, as it is, against a gateway, and against one with another behind it (`kind: v2`)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from tests.support import onnx_models
from tests.support.classic import config_of, sessions
from tests.support.gateway import KEY, config, serving

HEADERS = {"authorization": f"Bearer {KEY}"}


@contextmanager
def _gateways(folder: Path) -> Iterator[tuple[int, int]]:
    """The ports of a gateway with models and of one in front of it, both in a thread with a loop of its own."""
    ports: Future[tuple[int, int]] = Future()
    loop = asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        async with serving(config_of(), folder / "behind", sessions()) as behind:
            made = config({"v": [behind.url]}, {name: {"backend": "v"} for name in sessions()}, kind="v2")
            with_key = msgspec.structs.replace(made.backends["v"], api_key=KEY)
            made = msgspec.structs.replace(made, backends={"v": with_key})
            async with serving(made, folder / "front") as front:
                ports.set_result((behind.port, front.port))
                await end.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            if ports.done():
                raise
            ports.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield ports.result(30)
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    with _gateways(tmp_path_factory.mktemp("triton")) as found:
        yield found


@pytest.fixture(params=["here", "behind"])
def client(request: pytest.FixtureRequest, ports: tuple[int, int]) -> Iterator[Any]:
    port = ports[request.param == "behind"]
    with InferenceServerClient(f"127.0.0.1:{port}", concurrency=4) as made:
        yield made


def _input(rows: Any, *, binary: bool = True) -> Any:
    made = InferInput("x", list(rows.shape), "FP32")
    made.set_data_from_numpy(rows, binary_data=binary)
    return made


def _rows(count: int) -> Any:
    return np.random.default_rng(11).normal(size=(count, 4)).astype(np.float32)


def _direct(rows: Any) -> list[Any]:
    found: list[Any] = onnxruntime.InferenceSession(onnx_models.linear()).run(None, {"x": rows})
    return found


def test_it_finds_the_server_and_its_models_alive_and_ready(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("churn", headers=HEADERS)
    assert client.is_model_ready("churn", "2", headers=HEADERS)
    assert not client.is_model_ready("churn", "9", headers=HEADERS)
    assert not client.is_model_ready("churn")
    assert client.get_server_metadata(headers=HEADERS)["extensions"] == ["binary_tensor_data"]


def test_it_reads_what_a_model_takes_and_gives(client: Any) -> None:
    told = client.get_model_metadata("other/churn", headers=HEADERS)
    assert told["versions"] == ["2", "10"]
    assert told["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert [output["name"] for output in told["outputs"]] == ["scores", "label"]


@pytest.mark.parametrize("sends_binary", [True, False])
@pytest.mark.parametrize("wants_binary", [True, False])
@pytest.mark.parametrize("count", [1, 1000])
def test_its_tensors_go_in_and_come_out_as_onnxruntime_has_them(
    client: Any, count: int, sends_binary: bool, wants_binary: bool
) -> None:
    rows = _rows(count)
    wanted = [InferRequestedOutput(name, binary_data=wants_binary) for name in ("label", "scores")]
    result = client.infer(
        "churn", [_input(rows, binary=sends_binary)], outputs=wanted, request_id="r-7", headers=dict(HEADERS)
    )
    scores, label = _direct(rows)
    assert result.as_numpy("scores").tobytes() == scores.tobytes()
    assert result.as_numpy("label").tobytes() == label.tobytes()
    told = result.get_response()
    assert (told["model_name"], told["model_version"], told["id"]) == ("churn", "10", "r-7")


def test_it_gets_all_outputs_in_binary_when_it_names_none(client: Any) -> None:
    rows = _rows(3)
    result = client.infer("churn", [_input(rows)], headers=dict(HEADERS))
    assert [result.as_numpy(name).tobytes() for name in ("scores", "label")] == [
        found.tobytes() for found in _direct(rows)
    ]


@pytest.mark.parametrize("binary", [True, False])
def test_columns_of_every_kind_travel(client: Any, binary: bool) -> None:
    sent = {
        "age": ("FP32", np.array([[40], [41.5]], np.float32)),
        "plan": ("BYTES", np.array([["free"], ["pro"]], np.object_)),
        "visits": ("INT64", np.array([[2**62], [-3]], np.int64)),
        "member": ("BOOL", np.array([[True], [False]])),
    }
    inputs = []
    for name, (datatype, values) in sent.items():
        made = InferInput(name, [2, 1], datatype)
        made.set_data_from_numpy(values, binary_data=binary)
        inputs.append(made)
    wanted = [InferRequestedOutput(f"{name}_out", binary_data=binary) for name in sent]
    result = client.infer("churn", inputs, "2", outputs=wanted, headers=dict(HEADERS))
    for name, (_, values) in sent.items():
        found = result.as_numpy(f"{name}_out")
        if name == "plan":
            found = np.array([[text.decode() if isinstance(text, bytes) else text for text in row] for row in found])
        assert found.tolist() == values.tolist()


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_it_may_compress_what_it_sends_and_ask_for_the_same(client: Any, algorithm: str) -> None:
    rows = _rows(100)
    result = client.infer(
        "churn",
        [_input(rows)],
        headers=dict(HEADERS),
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    assert result.as_numpy("scores").tobytes() == _direct(rows)[0].tobytes()


def test_many_at_once_each_get_their_own(client: Any) -> None:
    rows = _rows(40)
    running = [client.async_infer("churn", [_input(rows[at : at + 1])], headers=dict(HEADERS)) for at in range(40)]
    scores = [request.get_result().as_numpy("scores").tobytes() for request in running]
    assert scores == [_direct(rows[at : at + 1])[0].tobytes() for at in range(40)]


def _refusal(client: Any, *given: Any, **more: Any) -> tuple[str, str]:
    with pytest.raises(InferenceServerException) as refused:
        client.infer(*given, **{"headers": dict(HEADERS), **more})
    return str(refused.value.status()), str(refused.value.message())


def test_it_raises_what_the_gateway_says(client: Any) -> None:
    rows = _rows(1)
    assert _refusal(client, "churn", [_input(rows)], headers={}) == (
        "401",
        "no valid API key: send one as `authorization: Bearer KEY` or as `x-api-key: KEY`",
    )
    assert _refusal(client, "none", [_input(rows)]) == (
        "404",
        "the model none does not exist, or this key may not use it",
    )
    wrong = InferInput("z", [1, 4], "FP32").set_data_from_numpy(rows)
    assert _refusal(client, "churn", [wrong]) == ("400", "inputs.z: the model has no such input; it has x")
    status, told = _refusal(client, "churn", [_input(rows * np.nan, binary=False)])
    assert status == "400"
    assert told.startswith("inputs.x: NaN and Infinity are no numbers in JSON")
    status, told = _refusal(client, "churn", [_input(rows)], sequence_id=7)
    assert (status, told) == ("400", "parameters.sequence_id is not accepted by this gateway")
    shared = InferInput("x", [1, 4], "FP32")
    shared.set_shared_memory("region", 16)
    assert "shared_memory_region is not accepted" in _refusal(client, "churn", [shared])[1]


def test_it_raises_when_a_row_breaks_the_schema(client: Any) -> None:
    inputs = []
    for name, datatype, value in (("age", "FP32", np.float32(17)), ("visits", "INT64", 1), ("member", "BOOL", True)):
        inputs.append(InferInput(name, [1, 1], datatype).set_data_from_numpy(np.array([[value]])))
    inputs.append(InferInput("plan", [1, 1], "BYTES").set_data_from_numpy(np.array([["pro"]], np.object_)))
    assert _refusal(client, "churn", inputs, "2") == ("400", 'row 0, column "age": must be at least 18')


def test_a_model_that_fails_is_raised_with_its_name(ports: tuple[int, int]) -> None:
    with triton.InferenceServerClient(f"127.0.0.1:{ports[0]}") as client:
        index = InferInput("i", [1], "INT64").set_data_from_numpy(np.array([4711]))
        assert _refusal(client, "prices", [index]) == (
            "500",
            "the model prices (version 1) failed on this request in its node look_up",
        )


def test_its_asyncio_client_gets_the_same(ports: tuple[int, int]) -> None:
    rows = _rows(5)

    async def main() -> list[Any]:
        async with triton_aio.InferenceServerClient(f"127.0.0.1:{ports[1]}") as client:
            assert await client.is_model_ready("churn", headers=HEADERS)
            asked = (client.infer("churn", [_input(rows)], headers=dict(HEADERS)) for _ in range(3))
            return [result.as_numpy("scores") for result in await asyncio.gather(*asked)]

    assert {found.tobytes() for found in asyncio.run(main())} == {_direct(rows)[0].tobytes()}
