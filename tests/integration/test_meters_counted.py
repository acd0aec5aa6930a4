"""Input that is counted by the backend before a call is refused or shortened for what it could have at most."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import Meters
from tests.support.metered import At, metering, usd
from tests.support.running import run
from tests.support.server_process import ServerProcess, serving
from tests.support.upstream import Upstream, hangs

SCRIPT = """
rules:
  - {match: "answers", answer: "one two three"}
  - {answer: word, tokens: 200}
"""
TENANT = "tenant:acme|usd|lifetime|"
LONG = "long words " * 200
"""2,200 bytes, 400 tokens."""
PRICE = {"input": 1_000_000_000_000, "output": 1_000_000_000_000}
MODELS = {"m": {"backend": "b", "served_model": "served", "price": PRICE}}
INPUT_CAP: Meters = {"acme": [{"cap": "1000 input_tokens", "window": "lifetime"}]}


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    script = tmp_path_factory.mktemp("fake") / "script.yaml"
    script.write_text(SCRIPT)
    with serving("gateway.backends.fake", "--script", str(script)) as server:
        yield server


def counted(fake: ServerProcess) -> int:
    """How often the backend was asked for nothing but a count."""
    with fake.client() as client:
        found: int = client.get("/fake/stats").json()["tokenized"]
    return found


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/chat/completions", {}),
        ("/v1/completions", {}),
        ("/v1/messages", {"max_tokens": 50}),
        ("/v1/chat/completions", {"stream": True}),
    ],
)
def test_a_call_is_let_in_whose_true_input_fits(
    fake: ServerProcess, tmp_path: Path, path: str, fields: dict[str, Any]
) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, INPUT_CAP) as gateway:
            before = counted(fake)
            answer = await gateway.ask(LONG + "answers", path=path, **fields)
            assert answer.status_code == 200
            assert counted(fake) == before + 1
            record = await gateway.last()
            assert record.held_input == (record.input_tokens or 0) + (record.cached_input_tokens or 0)
            assert (record.action, record.outcome) == ("", "answered")

    run(main())


def test_nothing_is_counted_where_the_bound_fits(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, INPUT_CAP) as gateway:
            before = counted(fake)
            assert (await gateway.ask("short answers")).status_code == 200
            assert counted(fake) == before

    run(main())


def test_a_call_whose_true_input_does_not_fit_is_refused_all_the_same(fake: ServerProcess, tmp_path: Path) -> None:
    meters: Meters = {"acme": [{"cap": "300 input_tokens", "window": "lifetime"}]}

    async def main() -> None:
        async with metering(fake, tmp_path, meters) as gateway:
            refused = await gateway.ask(LONG)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
            record = await gateway.last()
            assert 300 < record.held_input < 1000  # what was counted

    run(main())


def test_nothing_is_counted_where_there_is_no_room_for_any_text_of_that_length(
    fake: ServerProcess, tmp_path: Path
) -> None:
    meters: Meters = {"acme": [{"cap": "100 input_tokens", "window": "lifetime"}]}

    async def main() -> None:
        async with metering(fake, tmp_path, meters) as gateway:
            before = counted(fake)
            assert (await gateway.ask(LONG)).status_code == 429
            assert counted(fake) == before

    run(main())


def test_an_answer_is_as_long_as_the_budget_buys_beside_the_true_input(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(2_500_000)]}, models=MODELS) as gateway:
            before = counted(fake)
            answer = await gateway.ask(LONG, max_tokens=200)
            assert answer.json()["usage"]["completion_tokens"] == 200
            assert counted(fake) == before + 1
            record = await gateway.last()
            assert record.action == ""  # it was not shortened
            assert record.held_nanos <= 2_500_000
            assert gateway.spent(TENANT) == record.charge_nanos

    run(main())


def test_an_answer_is_shortened_to_what_is_left_beside_the_true_input(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, {"acme": [usd(650_000)]}, models=MODELS) as gateway:
            answer = await gateway.ask(LONG, max_tokens=200)
            record = await gateway.last()
            assert answer.json()["choices"][0]["finish_reason"] == "length"
            assert record.charge_nanos == gateway.spent(TENANT) == 650_000  # to the last token
            assert record.action == f"clamped:{record.output_tokens}"

    run(main())


def test_the_bound_stands_where_the_backend_does_not_count(tmp_path: Path) -> None:
    async def main() -> None:
        with serving("gateway.backends.fake") as gone:
            pass
        async with metering(gone, tmp_path, INPUT_CAP) as gateway:
            refused = await gateway.ask(LONG)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")

    run(main())


def test_what_a_count_leaves_out_is_not_counted(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, INPUT_CAP) as gateway:
            before = counted(fake)
            assert (await gateway.ask(LONG, reasoning_effort="high")).status_code == 429
            assert counted(fake) == before

    run(main())


def test_a_count_that_does_not_come_in_time_leaves_the_bound(tmp_path: Path) -> None:
    async def main() -> None:
        async with Upstream([hangs()]) as slow, metering(At(slow.url), tmp_path, INPUT_CAP) as gateway:
            refused = await gateway.ask(LONG)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
            assert [seen.head.split(b" ")[1] for seen in slow.seen] == [b"/tokenize"]
            await slow.aborted.wait()

    run(main())


def test_a_caller_who_leaves_ends_the_count_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with Upstream([hangs()]) as slow, metering(At(slow.url), tmp_path, INPUT_CAP) as gateway:
            asking = asyncio.create_task(gateway.ask(LONG))
            await slow.arrived.wait()
            asking.cancel()
            await slow.aborted.wait()
            assert (await gateway.last()).outcome == "cancelled"

    run(main())
