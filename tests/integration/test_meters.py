"""Meters on the path of a call: what is let in, cut, clamped, refused and settled, in front of the real fake server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.store.meters_memory import MeterMemory
from tests.support.gateway import OTHER_KEY, Meters, config, post, snapshot_of
from tests.support.metered import MODELS, metering, usd
from tests.support.running import run
from tests.support.server_process import ServerProcess, serving

SCRIPT = """
rules:
  - {match: "long", answer: word, tokens: 400, tokens_per_s: 2000}
  - {match: "endless", answer: word, tokens: 100000, tokens_per_s: 400}
  - {match: "short", answer: "one two three"}
  - {match: "silent", answer: "one two three", usage: false}
  - {match: "mute", answer: word, tokens: 400, usage: false, tokens_per_s: 2000}
  - {match: "absurd", answer: "one two three", usage: {completion_tokens: 1000000000}}
  - {match: "busy", status: 503}
  - {match: "slow", answer: word, delay_ms: 500}
"""
UNPRICED = {"m": {"backend": "b", "served_model": "served"}}
TENANT = "tenant:acme|usd|lifetime|"


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    script = tmp_path_factory.mktemp("fake") / "script.yaml"
    script.write_text(SCRIPT)
    with serving("gateway.backends.fake", "--script", str(script)) as server:
        yield server


def test_a_whole_answer_is_charged_what_it_used(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(10**12)]}) as gateway:
            answer = await gateway.ask("short", max_tokens=50)
            assert answer.status_code == 200
            usage = answer.json()["usage"]
            record = await gateway.last()
            charge = usage["prompt_tokens"] * 10 + usage["completion_tokens"] * 1000
            assert record.charge_nanos == charge
            assert record.usage_from == "backend"
            assert gateway.spent(TENANT) == charge
            assert answer.headers["x-lockgate-cost-usd"] == f"0.{charge:09d}"
            assert answer.headers["x-lockgate-budget-remaining-usd"] == f"999.{10**9 - charge:09d}"

    run(main())


def test_a_whole_answer_is_clamped_to_what_the_budget_buys(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(30_000)]}) as gateway:
            answer = await gateway.ask("long", max_tokens=400)
            assert answer.status_code == 200
            record = await gateway.last()
            assert record.output_tokens is not None
            assert 0 < record.output_tokens < 30
            assert record.action == f"clamped:{record.output_tokens}"
            assert answer.json()["choices"][0]["finish_reason"] == "length"
            assert 0 < gateway.spent(TENANT) <= 30_000

    run(main())


def test_a_worst_case_that_is_a_small_share_is_held_whole(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(10**12)]}) as gateway:
            await gateway.ask("short", max_tokens=200, stream=True)
            record = await gateway.last()
            assert record.held_output == 200
            assert record.held_nanos >= 200 * 1000

    run(main())


def test_an_answer_without_usage_is_bounded_by_us_and_flagged(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(10**12)]}) as gateway:
            assert (await gateway.ask("silent", max_tokens=50)).status_code == 200
            record = await gateway.last()
            assert (record.usage_from, record.output_tokens) == ("bound", 50)
            assert record.charge_nanos == record.held_nanos == gateway.spent(TENANT)

    run(main())


def test_absurd_usage_is_settled_as_held_and_flagged(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(10**12)]}) as gateway:
            assert (await gateway.ask("absurd", max_tokens=50)).status_code == 200
            record = await gateway.last()
            assert record.action == "beyond"
            assert record.charge_nanos == record.held_nanos == gateway.spent(TENANT)

    run(main())


def test_a_caller_that_leaves_a_whole_answer_pays_its_worst_case(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(10**12)]}) as gateway:
            body = {"model": "m", "max_tokens": 70, "messages": [{"role": "user", "content": "slow"}]}
            with pytest.raises(httpx.ReadTimeout):
                await gateway.client.post("/v1/chat/completions", json=body, timeout=0.3)
            record = await gateway.last()
            assert (record.outcome, record.usage_from) == ("cancelled", "held")
            assert record.charge_nanos == record.held_nanos == gateway.spent(TENANT)

    run(main())


def test_a_failure_of_the_backend_costs_nothing(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(10**12)]}, retries={"attempts": 2}) as gateway:
            assert (await gateway.ask("busy")).status_code == 503
            record = await gateway.last()
            assert (record.charge_nanos, record.usage_from, record.outcome) == (0, "none", "failed")
            assert gateway.spent(TENANT) == 0

    run(main())


def test_requests_are_limited_and_told_when_to_come_again(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(
            fake, tmp_path, {"acme": [{"cap": "2 requests", "window": "60s"}]}, models=UNPRICED
        ) as gateway:
            first = await gateway.ask("short")
            assert first.headers["x-ratelimit-limit-requests"] == "2"
            assert first.headers["x-ratelimit-remaining-requests"] == "1"
            assert first.headers["x-ratelimit-reset-requests"] == "1m0s"
            assert "x-lockgate-cost-usd" not in first.headers
            assert (await gateway.ask("short")).status_code == 200
            third = await gateway.ask("short")
            assert third.status_code == 429
            assert third.json()["error"]["code"] == "rate_limit_exceeded"
            assert 1 <= int(third.headers["retry-after"]) <= 62
            assert third.headers["x-ratelimit-remaining-requests"] == "0"
            assert "x-should-retry" not in third.headers
            record = await gateway.last()
            assert record.charge_nanos is None

    run(main())


def test_calls_at_a_time_are_limited_and_given_back(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [{"cap": "2 concurrent"}]}, models=UNPRICED) as gateway:
            answers = await asyncio.gather(*(gateway.ask("slow", max_tokens=3) for _ in range(4)))
            assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429]
            assert (await gateway.ask("short")).status_code == 200
            assert gateway.held() == {}

    run(main())


def test_a_cap_of_nothing_lets_no_call_through(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme/app": [usd(0)]}) as gateway:
            assert (await gateway.ask("short")).status_code == 429

    run(main())


def test_a_model_without_a_price_is_refused_once_money_is_counted(fake: ServerProcess, tmp_path: Path) -> None:
    models: dict[str, Any] = {
        "m": MODELS["m"],
        "new": {"backend": "b", "served_model": "n"},
        "own": {"backend": "b", "price": "free"},
    }

    async def main() -> None:
        async with metering(fake, tmp_path, models=models) as gateway:
            refused = await gateway.ask("short", model="new")
            assert refused.status_code == 402
            assert refused.json()["error"]["code"] == "model_not_priced"
            assert refused.headers["x-should-retry"] == "false"
            assert (await gateway.ask("short", model="own")).headers["x-lockgate-cost-usd"] == "0.000000000"

    run(main())


def test_each_call_of_a_connection_is_on_the_terms_of_its_own_model_and_of_the_configuration_in_force(
    fake: ServerProcess, tmp_path: Path
) -> None:
    cheap, dear = ({"backend": "b", "served_model": "s", "price": {"request": nanos}} for nanos in (7_000, 9_000))
    meters: Meters = {"acme": [usd(10**12)]}

    async def main() -> None:
        async with metering(fake, tmp_path, meters, models={"m": cheap, "n": dear}) as gateway:
            gw = gateway.running.gw
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.running.port)

            async def costs(models: str) -> list[bytes]:
                told = []
                for model in models:  # each with the same head, which the connection knows
                    said = [{"role": "user", "content": "short"}]
                    writer.write(post({"model": model, "messages": said}, close=False))
                    head = await reader.readuntil(b"\r\n\r\n")
                    told += re.findall(rb"cost-usd: 0.00000(\d+)", head)
                    await reader.readexactly(int(re.findall(rb"content-length: (\d+)", head)[0]))
                return told

            assert await costs("mmnnm") == [b"7000", b"7000", b"9000", b"9000", b"7000"]
            swapped = config({"b": [fake.address]}, {"m": dear, "n": cheap}, meters=meters)
            gw.reload(snapshot_of(swapped), gw.backends)
            assert await costs("mn") == [b"9000", b"7000"]
            writer.close()

    run(main())


def test_a_threshold_sends_calls_to_a_cheaper_model(fake: ServerProcess, tmp_path: Path) -> None:
    cheap = {"input": 10**9, "output": 10**10}
    models: dict[str, Any] = {"m": MODELS["m"], "small": {"backend": "b", "served_model": "tiny", "price": cheap}}
    budget = usd(1_000_000, at={"500": {"downgrade": "small"}})

    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [budget]}, models=models) as gateway:
            first = await gateway.ask("long", max_tokens=600)
            assert "x-lockgate-downgraded-to" not in first.headers
            while gateway.spent(TENANT) < 500_000:
                assert (await gateway.ask("long", max_tokens=100)).status_code == 200
            later = await gateway.ask("short", max_tokens=100)
            assert later.headers["x-lockgate-downgraded-to"] == "small"
            assert later.json()["model"] == "tiny"
            record = await gateway.last()
            assert (record.alias, record.served_model, record.action) == ("m", "tiny", "downgraded:small")
            usage = later.json()["usage"]
            assert record.charge_nanos == round(usage["prompt_tokens"] + usage["completion_tokens"] * 10)

    run(main())


def test_the_model_that_a_threshold_leads_to_is_not_for_whoever_may_not_ask_for_it(
    fake: ServerProcess, tmp_path: Path
) -> None:
    cheap = {"input": 10**9, "output": 10**10}
    budget = usd(1_000_000, at={"500": {"downgrade": "small"}})
    models: dict[str, Any] = {
        "other/m": {**MODELS["m"], "meters": [budget]},
        "small": {"backend": "b", "served_model": "tiny", "price": cheap},
    }
    key = {"authorization": f"Bearer {OTHER_KEY}"}

    async def main() -> None:
        async with metering(fake, tmp_path, models=models) as gateway:
            for _ in range(20):
                answer = await gateway.ask("long", model="other/m", max_tokens=100, headers=key)
                if answer.headers.get("x-lockgate-downgraded-to") == "small":
                    break
            assert answer.json()["model"] == "tiny"
            assert (await gateway.ask("short", model="small", headers=key)).status_code == 404
            assert (await gateway.ask("short", model="small")).status_code == 200

    run(main())


def test_a_threshold_keeps_answers_short(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(1_000_000, at={"100": "clamp"})]}) as gateway:
            await gateway.ask("long", max_tokens=300)
            answer = await gateway.ask("endless", stream=True)
            assert answer.status_code == 200
            record = await gateway.last()
            assert record.action.startswith("clamped:")
            assert gateway.spent(TENANT) <= 1_000_000

    run(main())


def test_a_project_has_a_budget_of_its_own(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        meters: Meters = {"acme/project/a": [usd(10**12)], "acme/project/b": [usd(0)]}
        async with metering(fake, tmp_path, meters) as gateway:
            unnamed = await gateway.ask("short")
            assert (unnamed.status_code, unnamed.json()["error"]["code"]) == (403, "project_not_allowed")
            assert (await gateway.ask("short", headers={"openai-project": "a"})).status_code == 200
            record = await gateway.last()
            assert record.project == "a"
            assert gateway.spent("project:acme/a|usd|lifetime|") == record.charge_nanos
            assert (await gateway.ask("short", headers={"x-lockgate-project": "b"})).status_code == 429
            other = await gateway.ask("short", headers={"openai-project": "c"})
            assert (other.status_code, other.json()["error"]["code"]) == (403, "project_not_allowed")

    run(main())


def test_each_end_user_and_each_conversation_has_a_bucket(fake: ServerProcess, tmp_path: Path) -> None:
    each = [
        {"cap": "1 requests", "window": "lifetime", "per": "end_user"},
        {"cap": "2 requests", "window": "lifetime", "per": "conversation"},
    ]

    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": each}, models=UNPRICED) as gateway:
            talk = {"x-lockgate-conversation-id": "c"}
            assert (await gateway.ask("short", user="u-1", headers=talk)).status_code == 200
            assert (await gateway.ask("short", user="u-1", headers=talk)).status_code == 429
            assert (await gateway.ask("short", user="u-2", headers=talk)).status_code == 200
            assert (await gateway.ask("short", user="u-3", headers=talk)).status_code == 429
            assert (await gateway.ask("short", user="u-3")).status_code == 200

    run(main())


def test_without_its_store_a_gateway_spends_what_it_has_leased_and_then_refuses(
    fake: ServerProcess, tmp_path: Path
) -> None:
    async def main() -> None:
        memory = MeterMemory()
        meters: Meters = {"acme": [{"cap": "1000 requests", "window": "lifetime"}]}
        async with metering(fake, tmp_path, meters, models=UNPRICED, memory=memory) as gateway:
            assert (await gateway.ask("short")).status_code == 200
            memory.stores[0].down = True
            statuses = [(await gateway.ask("short")).status_code for _ in range(40)]
            served = statuses.index(503)
            assert served > 0
            assert set(statuses[:served]) == {200}
            refused = await gateway.ask("short")
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "meters_unavailable")
            memory.stores[0].down = False
            for _ in range(100):
                if (await gateway.ask("short")).status_code == 200:
                    break
                await asyncio.sleep(0.05)
            else:
                raise AssertionError("it never came back")

    run(main())


@pytest.mark.parametrize("cap", ["0 usd", "0 output_tokens", "0 input_tokens", "0 requests", "0 concurrent"])
def test_a_cap_of_zero_lets_no_call_through_whatever_it_would_use(
    fake: ServerProcess, tmp_path: Path, cap: str
) -> None:
    meter = {"cap": cap} if "concurrent" in cap else {"cap": cap, "window": "day"}
    free = {"m": {"backend": "b", "served_model": "served", "price": "free"}}

    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [meter]}, models=free) as gateway:
            for path, fields in (("/v1/chat/completions", {"stream": True}), ("/v1/embeddings", {"input": "x"})):
                refused = await gateway.ask("short", path=path, **fields)
                assert refused.status_code == 429, path
                assert refused.headers["x-should-retry"] == "false"
            assert (await gateway.last()).readings

    run(main())
