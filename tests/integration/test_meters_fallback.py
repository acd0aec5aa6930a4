"""A request that another model answers than the one asked for: on that model's own price and meters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.store.records import Record
from tests.support.gateway import Meters
from tests.support.metered import metering, usd
from tests.support.running import run
from tests.support.server_process import ServerProcess, serving

SCRIPT = """
rules:
  - {match: "long", answer: word, tokens: 400, tokens_per_s: 2000}
  - {answer: "one two three"}
"""
TENANT = "tenant:acme|usd|lifetime|"
PRICE = {"input": 10_000_000_000, "output": 1_000_000_000_000}
DEAR = {"input": 20_000_000_000, "output": 2_000_000_000_000}
GONE = {"gone": ["http://127.0.0.1:9"]}
RICH: Meters = {"acme": [usd(10**12)]}


def requests(cap: int) -> list[dict[str, Any]]:
    return [{"cap": f"{cap} requests", "window": "lifetime"}]


def models(**fallbacks: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """`m`, whose backend is not there, and its fallbacks in order."""
    first = {"backend": "gone", "price": PRICE, "meters": requests(9), "fallback": list(fallbacks)}
    return {"m": first, **{name: {"backend": "b", "served_model": name, **each} for name, each in fallbacks.items()}}


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    script = tmp_path_factory.mktemp("fake") / "script.yaml"
    script.write_text(SCRIPT)
    with serving("gateway.backends.fake", "--script", str(script)) as server:
        yield server


def given(record: Record) -> int:
    return (record.input_tokens or 0) + (record.cached_input_tokens or 0)


@pytest.mark.parametrize("stream", [False, True])
def test_a_fallback_is_charged_at_its_own_price_and_counted_in_its_own_meters(
    fake: ServerProcess, tmp_path: Path, stream: bool
) -> None:
    other: dict[str, Any] = {"n": {"price": DEAR, "meters": [*requests(5), usd(10**9)]}}

    async def main() -> None:
        async with metering(fake, tmp_path, RICH, models=models(**other), beside=GONE) as gateway:
            answer = await gateway.ask("hi", stream=stream, stream_options={"include_usage": True} if stream else None)
            assert answer.status_code == 200
            record = await gateway.last()
            charge = given(record) * 20 + (record.output_tokens or 0) * 2000
            assert record.charge_nanos == charge == gateway.spent(TENANT) == gateway.spent("model:n|usd|lifetime|")
            assert gateway.spent("model:n|requests|lifetime|") == 1
            assert gateway.spent("model:m|requests|lifetime|") == 1  # it was asked, too
            # Both are named: what was asked for, and what answered.
            assert (record.alias, record.served_model, record.action) == ("m", "n", "fallback:n")
            assert [attempt.reason for attempt in record.attempts][-1] == "fallback"

    run(main())


def test_a_fallback_whose_meters_are_used_up_is_passed_over(fake: ServerProcess, tmp_path: Path) -> None:
    chain: dict[str, Any] = {"n": {"price": DEAR, "meters": requests(0)}, "o": {"price": "free", "meters": requests(5)}}

    async def main() -> None:
        async with metering(fake, tmp_path, RICH, models=models(**chain), beside=GONE) as gateway:
            assert (await gateway.ask("hi")).status_code == 200
            record = await gateway.last()
            assert (record.served_model, record.charge_nanos) == ("o", 0)
            assert gateway.spent("model:n|requests|lifetime|") == 0
            assert gateway.spent(TENANT) == 0

    run(main())


def test_where_no_fallback_is_let_in_the_first_failure_is_told(fake: ServerProcess, tmp_path: Path) -> None:
    spent: dict[str, Any] = {"n": {"price": DEAR, "meters": [usd(100)]}}

    async def main() -> None:
        async with metering(fake, tmp_path, RICH, models=models(**spent), beside=GONE) as gateway:
            answer = await gateway.ask("hi")
            assert answer.status_code == 502
            record = await gateway.last()
            assert (record.code, record.charge_nanos) == ("connect_failed", 0)
            assert gateway.spent(TENANT) == gateway.spent("model:n|usd|lifetime|") == 0
            assert gateway.spent("model:m|requests|lifetime|") == 1

    run(main())


def test_a_fallback_is_bounded_by_what_its_own_budget_buys(fake: ServerProcess, tmp_path: Path) -> None:
    poor: dict[str, Any] = {"n": {"price": DEAR, "meters": [{"cap": "40 output_tokens", "window": "lifetime"}]}}

    async def main() -> None:
        async with metering(fake, tmp_path, RICH, models=models(**poor), beside=GONE) as gateway:
            answer = await gateway.ask("long", max_tokens=300)
            assert answer.json()["choices"][0]["finish_reason"] == "length"
            record = await gateway.last()
            assert (record.output_tokens, record.action) == (40, "clamped:40 fallback:n")

    run(main())


def test_a_stream_of_a_fallback_is_cut_where_its_budget_ends(fake: ServerProcess, tmp_path: Path) -> None:
    poor: dict[str, Any] = {"n": {"price": DEAR, "meters": [{"cap": "90 output_tokens", "window": "lifetime"}]}}

    async def main() -> None:
        async with metering(fake, tmp_path, RICH, models=models(**poor), beside=GONE) as gateway:
            answer = await gateway.ask("long", stream=True)
            assert b'"finish_reason":"length"' in answer.content
            record = await gateway.last()
            assert (record.output_tokens, record.action) == (90, "fallback:n cut")

    run(main())


def test_a_request_counts_once_in_what_both_models_share(fake: ServerProcess, tmp_path: Path) -> None:
    shared: Meters = {"acme": [*requests(2), {"cap": "1 concurrent"}]}

    async def main() -> None:
        async with metering(fake, tmp_path, shared, models=models(n={"price": "free"}), beside=GONE) as gateway:
            assert [(await gateway.ask("hi")).status_code for _ in range(3)] == [200, 200, 429]

    run(main())


def test_unmetered_a_fallback_is_named_too(fake: ServerProcess, tmp_path: Path) -> None:
    plain: Any = {"m": {"backend": "gone", "fallback": ["n"]}, "n": {"backend": "b", "served_model": "n"}}

    async def main() -> None:
        async with metering(fake, tmp_path, models=plain, beside=GONE) as gateway:
            assert (await gateway.ask("hi")).status_code == 200
            record = await gateway.last()
            assert (record.alias, record.served_model, record.action) == ("m", "n", "fallback:n")

    run(main())
