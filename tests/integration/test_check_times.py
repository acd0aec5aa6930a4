"""What records say of the time that checks and models in the gateway took."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.offload.client import Done
from gateway.policy import timings
from gateway.policy.timings import Timed
from gateway.store import record_spans
from guardrails.check import Need
from tests.support.classic import ROW, config_of, infer, sessions
from tests.support.gateway import serving
from tests.support.running import run, until
from tests.support.screening import FORBIDS, HIDES, JUDGES, MAIL, SENTENCES, Asked, Checked, checked
from tests.support.talking import status

LONG = "Ask whoever may know of it, and it may be that nobody does"
"""A sentence that is judged by itself."""


async def timed(gateway: Checked) -> list[Timed]:
    """Of the last request."""
    await gateway.verdicts()
    record = gateway.gateway.records()[-1]
    found = timings.read(record.timings)
    # Each is rounded.
    assert all(each.began_us + each.took_us <= record.total_ms * 1e3 + 1 for each in found)
    assert all(each.spent_us <= each.took_us + 1 for each in found)
    spans = record_spans.spans(record)
    assert {span.parent_id for span in spans} <= {"", *(span.span_id for span in spans)}
    return found


def named(found: list[Timed]) -> list[tuple[str, str, int]]:
    return [(each.stage, each.check, each.times) for each in found]


@pytest.mark.parametrize("stream", [False, True])
def test_what_looks_at_a_request_and_at_its_answer_is_timed_and_what_asks_by_itself(
    tmp_path: Path, stream: bool
) -> None:
    async def main() -> None:
        async with checked(tmp_path, HIDES, JUDGES, SENTENCES) as gateway:
            await gateway.ask(f"{LONG}, or {MAIL}. And then ask her.", stream=stream)
            found = await timed(gateway)
            of_request, of_answer = ([each for each in named(found) if each[0] == at] for at in ("request", "answer"))
            assert of_request == [("request", "", 1), ("request", "injection", 1)]
            assert of_answer == [("answer", "", of_answer[0][2]), ("answer", "toxicity", 2)]
            assert (of_answer[0][2] > 1) == stream  # pieces
            request, answer = (each for each in found if not each.check)
            assert request.began_us + request.took_us <= answer.began_us + 1

    run(main())


def test_where_no_check_looks_nothing_is_timed(tmp_path: Path) -> None:
    async def main() -> None:
        async with checked(tmp_path, HIDES | {"phase": "output"}) as gateway:
            await gateway.ask("hello")
            assert named(await timed(gateway)) == [("answer", "", 1)]
        async with checked(tmp_path / "without") as gateway:
            await gateway.ask("hello")
            assert await timed(gateway) == []

    run(main())


def test_a_stream_that_is_blocked_half_way_has_its_checks_ended_with_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with checked(tmp_path, FORBIDS | {"phase": "output"}, SENTENCES, size=3) as gateway:
            await gateway.ask(f"{LONG}. Then buy plutonium. And more of it. {LONG}.", stream=True)
            (stage, asked) = await timed(gateway)
            assert (stage.stage, stage.check, asked.check) == ("answer", "", "toxicity")
            assert stage.began_us <= asked.began_us
            assert asked.began_us + asked.took_us <= stage.began_us + stage.took_us + 1

    run(main())


class Silent(Asked):
    """Never answers."""

    def __init__(self) -> None:
        super().__init__(lambda _: 0.0)
        self.asked = asyncio.Event()

    def ask(self, need: Need, deadline_ms: int | None, done: Done) -> None:
        self.asked.set()


def test_a_question_that_nobody_answered_is_over_when_its_caller_has_left(tmp_path: Path) -> None:
    async def main() -> None:
        async with checked(tmp_path, JUDGES) as gateway:
            silent = Silent()
            gateway.gateway.gw.checks = silent
            asking = asyncio.ensure_future(gateway.ask("hello"))
            await silent.asked.wait()
            asking.cancel()
            await until(lambda: gateway.gateway.gw.in_flight == 0, "the request ends")
            assert named(await timed(gateway)) == [("request", "", 1), ("request", "injection", 1)]
            (record,) = gateway.gateway.records()
            assert (record.outcome, len(record_spans.spans(record))) == ("cancelled", 3)

    run(main())


@pytest.mark.parametrize(("data", "answered"), [([1, 2, 3, 4], 200), ([1, 2, 3, "no number"], 400)])
def test_the_run_of_a_classic_model_is_timed(tmp_path: Path, data: list[object], answered: int) -> None:
    async def main() -> None:
        async with serving(config_of(), tmp_path, sessions()) as gateway:
            inputs = [{**ROW["inputs"][0], "data": data}]
            assert status(await gateway.raw(infer({"inputs": inputs}))) == answered
            (record,) = gateway.records()
            run_, *others = timings.read(record.timings)
            assert (run_.stage, run_.times, others) == ("run", 1, [])
            assert run_.took_us == pytest.approx(run_.spent_us, abs=1)
            server, span = record_spans.spans(record)
            assert server.start_ns < span.start_ns <= span.end_ns <= server.end_ns

    run(main())
