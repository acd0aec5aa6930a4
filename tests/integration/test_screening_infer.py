"""The checks of a chain on calls of classic models: texts in tensors of BYTES, asked by NVIDIA's `tritonclient` over
HTTP, in JSON and binary, and over gRPC; of a model in the gateway and of one behind it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.grpc.aio as triton_grpc_aio
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from onnx import TensorProto
from tritonclient.utils import InferenceServerException

from gateway.backends.onnx import Session
from gateway.config.model import V2, Endpoint
from gateway.dataplane import grpc_calls
from gateway.policy.replay import Replay
from gateway.wire.infer import request
from tests.support import onnx_models
from tests.support.classic import infer
from tests.support.gateway import KEY, Running, config, serving
from tests.support.running import run
from tests.support.screening import FORBIDS, HIDES, JUDGES, MAIL, PUTS_BACK, Asked
from tests.support.talking import body, status
from tests.support.upstream import Talk, Upstream, unary

HEADERS = {"authorization": f"Bearer {KEY}"}
"""To be copied: tritonclient adds to what it is given."""
MODELS: dict[str, dict[str, Any]] = {
    "echo": {"kind": "onnx", "versions": {"1": "unused"}, "price": {"call": 20_000}},
    "numbers": {"kind": "onnx", "versions": {"1": "unused"}, "price": "free"},
}
SAID = f"Ask {MAIL} of it"
MASKED = "Ask [EMAIL_ADDRESS] of it"


def sessions() -> Any:
    return {
        "echo": {"1": Session(onnx_models.identity(TensorProto.STRING), "echo (version 1)")},
        "numbers": {"1": Session(onnx_models.linear(), "numbers (version 1)")},
    }


@contextlib.asynccontextmanager
async def checked(
    folder: Path, *chain: dict[str, Any], behind: bool = False, on_model: bool = False
) -> AsyncIterator[Running]:
    """A gateway with a chain and the model `echo`, which says what it was told, in it or behind it."""
    async with contextlib.AsyncExitStack() as stack:
        models, url = MODELS, ""
        if behind:
            other = await stack.enter_async_context(serving(config({}, MODELS), folder / "behind", sessions()))
            models, url = {alias: {"backend": "v", "price": {"request": 20_000}} for alias in MODELS}, other.url
        if on_model:
            models = {alias: {**model, "chain": "c"} for alias, model in models.items()}
        made = config({}, models, chain=() if on_model else chain)
        if on_model:
            made = msgspec.structs.replace(made, chains={"c": chain})
        if behind:
            made = msgspec.structs.replace(made, backends={"v": V2(endpoints=(Endpoint(url=url),), api_key=KEY)})
        front = serving(made, folder / "front", None if behind else sessions())
        yield await stack.enter_async_context(front)


async def ask(gateway: Running, *texts: str, binary: bool = True) -> list[str]:
    """What `echo` answers, by tritonclient over HTTP."""
    rows = np.array([text.encode() for text in texts], np.object_)
    asked = triton.InferInput("x", [len(texts)], "BYTES")
    asked.set_data_from_numpy(rows, binary_data=binary)
    wanted = triton.InferRequestedOutput("y", binary_data=binary)
    async with triton_aio.InferenceServerClient(f"127.0.0.1:{gateway.port}") as client:
        answer = await client.infer("echo", [asked], outputs=[wanted], headers=dict(HEADERS))
    found = answer.as_numpy("y")
    return [each.decode() if isinstance(each, bytes) else each for each in found]


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("binary", [False, True])
def test_texts_are_masked_on_their_way_to_a_model(tmp_path: Path, behind: bool, binary: bool) -> None:
    async def main() -> None:
        async with checked(tmp_path, HIDES | {"phase": "input"}, behind=behind) as gateway:
            assert await ask(gateway, SAID, "héllo 😀", "", binary=binary) == [MASKED, "héllo 😀", ""]
            (record,) = gateway.records()
            assert (record.chain, record.verdicts) == ("c", "input:pii:EMAIL_ADDRESS:mask:1.00:1")
            derived = {each.decision: each for each in Replay(gateway.gw.snapshot).of(record)}
            assert {"chain", "charge", "route"} <= set(derived)
            assert {name for name, each in derived.items() if not each.equal} == {"verdicts"}
            assert (record.endpoint, record.outcome, record.charge_nanos) == ("infer", "answered", 20_000)

    run(main())


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("binary", [False, True])
def test_texts_are_masked_on_their_way_back(tmp_path: Path, behind: bool, binary: bool) -> None:
    async def main() -> None:
        async with checked(tmp_path, HIDES | {"phase": "output"}, behind=behind) as gateway:
            assert await ask(gateway, "fine", SAID, binary=binary) == ["fine", MASKED]
            assert gateway.records()[-1].verdicts == "output:pii:EMAIL_ADDRESS:mask:1.00:1"

    run(main())


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("binary", [False, True])
def test_masks_are_undone_in_the_answer(tmp_path: Path, behind: bool, binary: bool) -> None:
    async def main() -> None:
        async with checked(tmp_path, PUTS_BACK | {"phase": "input"}, behind=behind) as gateway:
            assert await ask(gateway, SAID, binary=binary) == [SAID]
            assert "mask_reversible" in gateway.records()[-1].verdicts

    run(main())


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("phase", ["input", "output"])
def test_a_block_is_a_400_in_the_protocols_shape(tmp_path: Path, behind: bool, phase: str) -> None:
    async def main() -> None:
        async with checked(tmp_path, FORBIDS | {"phase": phase}, behind=behind) as gateway:
            with pytest.raises(InferenceServerException) as caught:
                await ask(gateway, "fine", "buy plutonium")
            place = "inputs.x[1]" if phase == "input" else "outputs.y[1]"
            assert caught.value.status() == "400"
            assert f"{place} was blocked by the check keywords (arms)" in caught.value.message()
            assert "plutonium" not in str(caught.value)
            (record,) = gateway.records()
            assert (record.status, record.code) == (400, "content_filter")
            assert record.verdicts == f"{phase}:keywords:arms:block:1.00:1"
            # A model that was asked is paid for.
            assert (record.outcome, record.charge_nanos) == (
                ("refused", 0) if phase == "input" else ("answered", 20_000)
            )

    run(main())


def test_grpc_goes_the_same_way(tmp_path: Path) -> None:
    async def main() -> None:
        async with checked(tmp_path, HIDES, FORBIDS | {"phase": "input"}) as gateway:
            server, port = await grpc_calls.listen(gateway.gw, "127.0.0.1:0")
            try:
                async with triton_grpc_aio.InferenceServerClient(f"127.0.0.1:{port}") as client:
                    asked = triton_grpc.InferInput("x", [1], "BYTES")
                    asked.set_data_from_numpy(np.array([SAID.encode()], np.object_))
                    answer = await client.infer("echo", [asked], headers=dict(HEADERS))
                    assert answer.as_numpy("y").tolist() == [MASKED.encode()]
                    asked.set_data_from_numpy(np.array([b"buy plutonium"], np.object_))
                    with pytest.raises(InferenceServerException, match="was blocked by the check keywords"):
                        await client.infer("echo", [asked], headers=dict(HEADERS))
            finally:
                await server.stop(None)

    run(main())


def test_a_chain_of_the_model_runs_whoever_asks(tmp_path: Path) -> None:
    async def main() -> None:
        async with checked(tmp_path, HIDES, on_model=True) as gateway:
            assert await ask(gateway, SAID) == [MASKED]

    run(main())


@pytest.mark.parametrize("behind", [False, True])
def test_numbers_pass_unread(tmp_path: Path, behind: bool) -> None:
    async def main() -> None:
        async with checked(tmp_path, HIDES, FORBIDS | {"phase": ["input", "output"]}, behind=behind) as gateway:
            row = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}
            answer = await gateway.raw(infer(row, model="numbers"))
            assert status(answer) == 200
            direct = Session(onnx_models.linear(), "m").answer(request.parse(json.dumps(row).encode(), None))
            assert json.loads(body(answer))["outputs"][0]["data"] == direct[0].data
            assert gateway.records()[-1].verdicts == ""

    run(main())


@pytest.mark.parametrize("score", [0.9, "late"])
def test_a_check_that_asks_decides_here_too(tmp_path: Path, score: float | str) -> None:
    async def main() -> None:
        async with checked(tmp_path, JUDGES) as gateway:
            gateway.gw.checks = Asked(lambda text: score)
            with pytest.raises(InferenceServerException) as caught:
                await ask(gateway, *["ignore all that"] * 50)
            assert caught.value.status() == ("400" if score == 0.9 else "503")

    run(main())


def test_an_element_that_is_no_text_cannot_be_checked(tmp_path: Path) -> None:
    async def main() -> None:
        async with checked(tmp_path, HIDES | {"phase": "input"}, behind=True) as gateway:
            asked = triton.InferInput("x", [1], "BYTES")
            asked.set_data_from_numpy(np.array([b"\xff\xd8 a picture"], np.object_))
            async with triton_aio.InferenceServerClient(f"127.0.0.1:{gateway.port}") as client:
                with pytest.raises(InferenceServerException, match="element 0 is not UTF-8"):
                    await client.infer("echo", [asked], headers=dict(HEADERS))

    run(main())


@pytest.mark.parametrize(
    "said",
    [b"", b"{}x", b'{"outputs":[{"name":"y","datatype":"BYTES","shape":[1],"data":[5]}]}', b'{"outputs":{}}'],
)
def test_an_answer_that_cannot_be_read_is_not_delivered(tmp_path: Path, said: bytes) -> None:
    async def answer(talk: Talk) -> None:
        await talk.send(unary(said))

    async def main() -> None:
        async with Upstream([answer]) as upstream:
            made = config({}, {"echo": {"backend": "v"}}, chain=[HIDES])
            made = msgspec.structs.replace(made, backends={"v": V2(endpoints=(Endpoint(url=upstream.url),))})
            async with serving(made, tmp_path) as gateway:
                row = {"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES", "data": [SAID]}]}
                answered = await gateway.raw(infer(row, model="echo"))
                assert status(answered) == 502
                assert MAIL.encode() not in upstream.seen[-1].body
                assert gateway.records()[-1].outcome == "failed"

    run(main())
