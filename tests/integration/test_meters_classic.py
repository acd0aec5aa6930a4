"""Meters and prices of classic models, over HTTP and gRPC, and of a configuration that begins to meter at a reload."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from gateway.dataplane import grpc_calls
from tests.support.classic import infer, sessions
from tests.support.gateway import KEY, Meters, config, serving, snapshot_of
from tests.support.running import run
from tests.support.talking import status

PRICED: dict[str, dict[str, Any]] = {
    "churn": {"kind": "onnx", "versions": {"10": "unused"}, "price": {"call": 20_000}},
    "free": {"kind": "onnx", "versions": {"10": "unused"}, "price": "free"},
    "new": {"kind": "onnx", "versions": {"10": "unused"}},
}
MONEY: Meters = {"acme": [{"cap": "50000 usd", "window": "day"}]}


def test_a_call_of_a_classic_model_costs_what_a_call_costs_until_the_budget_ends(tmp_path: Path) -> None:
    async def main() -> None:
        loaded = {"churn": {"10": sessions()["churn"]["10"]}}
        async with serving(config({}, PRICED, meters=MONEY), tmp_path, loaded) as gateway:
            answers = [await gateway.raw(infer()) for _ in range(3)]
            assert [status(answer) for answer in answers] == [200, 200, 429]
            assert b"x-lockgate-cost-usd: 0.000020000\r\n" in answers[0]
            assert b"x-lockgate-budget-remaining-usd: 0.000010000\r\n" in answers[1]
            records = gateway.records()
            assert [record.charge_nanos for record in records] == [20_000, 20_000, None]
            assert [record.usage_from for record in records] == ["backend", "backend", ""]
            assert records[2].action.startswith("refused:tenant:acme|usd|day@UTC|")

    run(main())


def test_a_call_that_is_refused_costs_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        loaded = {"churn": {"10": sessions()["churn"]["10"]}}
        async with serving(config({}, PRICED, meters=MONEY), tmp_path, loaded) as gateway:
            wrong = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1]}]}
            assert status(await gateway.raw(infer(wrong))) == 400
            (record,) = gateway.records()
            assert (record.charge_nanos or 0, record.usage_from) == (0, "none")
            assert gateway.gw.leasing is not None
            assert all(not bucket.held for bucket in gateway.gw.leasing.leases.buckets.values())

    run(main())


def test_a_classic_model_without_a_price_is_refused_once_money_is_counted(tmp_path: Path) -> None:
    async def main() -> None:
        session = sessions()["churn"]["10"]
        loaded = {"new": {"10": session}, "free": {"10": session}}
        async with serving(config({}, PRICED), tmp_path, loaded) as gateway:
            refused = await gateway.raw(infer(model="new"))
            assert status(refused) == 402
            assert "no price" in json.dumps(json.loads(refused.partition(b"\r\n\r\n")[2]))
            assert status(await gateway.raw(infer(model="free"))) == 200

    run(main())


def test_a_reload_may_begin_to_meter_and_stop(tmp_path: Path) -> None:
    models = {"churn": {"kind": "onnx", "versions": {"10": "unused"}}}
    limited: Meters = {"acme/app": [{"cap": "1 requests", "window": "lifetime"}]}

    async def main() -> None:
        loaded = {"churn": {"10": sessions()["churn"]["10"]}}
        async with serving(config({}, models, meters=limited), tmp_path, loaded) as gateway:
            gw = gateway.gw
            assert [status(await gateway.raw(infer())) for _ in range(2)] == [200, 429]
            gw.reload(snapshot_of(config({}, models)), {}, loaded)
            assert gw.admission is None
            assert status(await gateway.raw(infer())) == 200
            raised: Meters = {"acme/app": [{"cap": "2 requests", "window": "lifetime"}]}
            gw.reload(snapshot_of(config({}, models, meters=raised)), {}, loaded)
            assert [status(await gateway.raw(infer())) for _ in range(2)] == [200, 429]

    run(main())


@pytest.mark.parametrize(("cap", "refused"), [("0 requests", True), ("9 requests", False)])
def test_calls_over_grpc_count_in_the_same_meters(tmp_path: Path, cap: str, refused: bool) -> None:
    async def main() -> None:
        loaded = {"churn": {"10": sessions()["churn"]["10"]}}
        meters: Meters = {"acme": [{"cap": cap, "window": "lifetime"}]}
        found = config({}, {"churn": {"kind": "onnx", "versions": {"10": "unused"}}}, meters=meters)
        async with serving(found, tmp_path, loaded) as gateway:
            server, port = await grpc_calls.listen(gateway.gw, "127.0.0.1:0")
            async with InferenceServerClient(f"127.0.0.1:{port}") as client:
                tensor = InferInput("x", [1, 4], "FP32")
                tensor.set_data_from_numpy(np.ones((1, 4), np.float32))
                asking = client.infer("churn", [tensor], headers={"authorization": f"Bearer {KEY}"})
                if refused:
                    with pytest.raises(InferenceServerException, match="limit of 0 requests") as caught:
                        await asking
                    assert "RESOURCE_EXHAUSTED" in str(caught.value.status())
                else:
                    await asking
            await server.stop(0)
            assert gateway.records()[0].outcome == ("refused" if refused else "answered")

    run(main())
