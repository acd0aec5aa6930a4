"""What chat templates add is measured where the backend counts, so that it is held before it is used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import ManualClock
from gateway.policy.overhead import TEMPLATE_TOKENS, Overhead
from gateway.runtime.measuring import Measuring
from gateway.telemetry.logs import Log
from tests.support import gateway_process
from tests.support.gateway import Meters
from tests.support.metered import At, Metered, metering
from tests.support.running import run
from tests.support.server_process import ServerProcess, serving
from tests.support.upstream import Upstream, says, unary

CAP: Meters = {"acme": [{"cap": "5000 input_tokens", "window": "lifetime"}]}
TEMPLATE = 3000


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[ServerProcess]:
    script = tmp_path / "script.yaml"
    script.write_text(f"template_tokens: {TEMPLATE}")
    with serving("gateway.backends.fake", "--script", str(script)) as server:
        yield server


class Looks:
    """Measures for a gateway, as its worker does, and keeps what the log tells."""

    def __init__(self, gateway: Metered) -> None:
        self.lines: list[dict[str, Any]] = []
        self.gateway = gateway.running.gw
        self.measuring = Measuring(Log(ManualClock(), "debug", lambda line: self.lines.append(json.loads(line))))

    async def __call__(self) -> Overhead:
        await self.measuring.look(self.gateway.backends, self.gateway.snapshot)
        return self.gateway.backends["b"].overhead("served")

    @property
    def told(self) -> list[str]:
        return [line["event"] for line in self.lines]


def say(fake: ServerProcess, template_tokens: int) -> None:
    """From now on its template has so many tokens."""
    with fake.client() as client:
        assert client.post("/fake/script", json={"template_tokens": template_tokens}).status_code == 200


async def used(gateway: Metered) -> int:
    """The input tokens that two calls used that were let in."""
    for _ in range(2):
        await gateway.ask()
    await gateway.last()
    return sum((each.input_tokens or 0) + (each.cached_input_tokens or 0) for each in gateway.running.records())


def test_a_cap_is_not_passed_by_what_a_long_template_adds(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path / "assumed", CAP) as gateway:
            assert await used(gateway) > 5000  # what is assumed of any template is too little
            assert (await gateway.last()).action == "beyond"
        async with metering(fake, tmp_path / "measured", CAP) as gateway:
            assert (await Looks(gateway)()).template > TEMPLATE
            assert TEMPLATE < await used(gateway) <= 5000
            assert (await gateway.last()).action.startswith("refused:")

    run(main())


def test_each_model_is_measured_once_until_its_endpoint_was_away(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        async with metering(fake, tmp_path, CAP) as gateway:
            look = Looks(gateway)
            await look()
            say(fake, 0)
            assert (await look()).template > TEMPLATE
            look.measuring.away(look.gateway.backends["b"].endpoints[0])
            assert (await look()).template == TEMPLATE_TOKENS
            assert look.told == ["overhead_measured"] * 2

    run(main())


def test_a_call_that_used_more_than_it_could_has_its_model_measured_again(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        say(fake, 0)
        async with metering(fake, tmp_path, CAP) as gateway:
            look = Looks(gateway)
            assert (await look()).template == TEMPLATE_TOKENS
            say(fake, TEMPLATE)
            await gateway.ask()
            assert (await gateway.last()).action == "beyond"
            assert (await look()).template > TEMPLATE
            await look()
            assert look.told == ["overhead_measured"] * 2

    run(main())


def test_what_does_not_count_keeps_what_is_assumed_and_is_not_asked_again(tmp_path: Path) -> None:
    async def main() -> None:
        lacking = [says(unary(b"{}", "404 Not Found"))] * 8
        async with Upstream(lacking) as upstream, metering(At(upstream.url), tmp_path, CAP) as gateway:
            look = Looks(gateway)
            for _ in range(2):
                assert (await look()).template == TEMPLATE_TOKENS
            assert [seen.head.split(b" ")[1] for seen in upstream.seen] == [b"/tokenize"] * 4
            assert look.told.count("overhead_not_measured") == 1

    run(main())


def test_what_does_not_answer_is_told_once_and_measured_when_it_does(tmp_path: Path) -> None:
    async def main() -> None:
        with serving("gateway.backends.fake") as gone:
            pass
        async with metering(gone, tmp_path, CAP) as gateway:
            look = Looks(gateway)
            for _ in range(3):
                assert (await look()).template == TEMPLATE_TOKENS
            assert look.told == ["overhead_not_measured"]

    run(main())


def test_nothing_is_asked_where_nothing_is_metered(tmp_path: Path) -> None:
    async def main() -> None:
        models = {"m": {"backend": "b", "served_model": "served"}}
        async with Upstream([]) as upstream, metering(At(upstream.url), tmp_path, models=models) as gateway:
            await Looks(gateway)()
            assert upstream.seen == []

    run(main())


def test_a_worker_measures_before_it_serves(fake: ServerProcess, tmp_path: Path) -> None:
    found = gateway_process.minimal(
        backends={"b": {"kind": "vllm", "endpoints": [{"url": fake.address}]}},
        models={"small": {"backend": "b", "served_model": "served"}},
        meters=[{"cap": "5000 input_tokens", "window": "lifetime"}],
    )
    with gateway_process.serving(tmp_path / "gateway", found) as gateway:
        assert [gateway.chat("hi").status for _ in range(2)] == [200, 429]
