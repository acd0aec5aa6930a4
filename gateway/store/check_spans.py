"""The spans and events of a record's checks: one span for all that looked at the request, one for the answer, below
each one for every check that had to ask. A verdict is an event of the span it was given in. Pure.

Records of versions that did not time checks have no such spans: their verdicts are events of the request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from gateway.policy import timings
from gateway.policy.timings import ANSWER, REQUEST, Timed
from gateway.store.records import Record
from gateway.telemetry import genai
from gateway.telemetry.spans import Attributes, Event, Kind, Span

_VERDICT: Final = re.compile(r"([^:]+):([^:]+):([^:]+):([^:]+):([0-9.]+):([0-9]+)").fullmatch
_BLOCKED: Final = ("block", "fail_closed")
_FAILED: Final = ("fail_open", "fail_closed")
_MADE: Final = ("output", "tool_call")
"""The phases of what a model said."""
_WHOLE: Final = ""
"""The check of a stage's own time."""


class Found(NamedTuple):
    """A verdict, as its record tells it."""

    phase: str
    check: str
    code: str
    action: str
    score: str
    times: str


class Place(NamedTuple):
    """Where in a trace the request is."""

    trace: str
    span: str
    at: Callable[[float], int]
    """The moment of so many milliseconds after it began, in nanoseconds since the epoch."""
    end_ms: float


class CheckSpans:
    """Of one record."""

    def __init__(self, record: Record, place: Place) -> None:
        self._record = record
        self._place = place
        timed = timings.read(record.timings)
        stages = {each.stage for each in timed if not each.check} & {REQUEST, ANSWER}
        self._timed: Mapping[tuple[str, str], Timed] = {
            (each.stage, each.check): each for each in timed if each.stage in stages
        }
        # The last word of a record that had to be capped may be cut short.
        self._verdicts = [Found(*found.groups()) for word in record.verdicts.split(" ") if (found := _VERDICT(word))]

    @property
    def blocked(self) -> bool:
        """Whether what a model said was cut off."""
        return any(found.phase in _MADE and found.action in _BLOCKED for found in self._verdicts)

    def spans(self) -> Iterator[Span]:
        """Each stage before its checks."""
        for stage in (REQUEST, ANSWER):
            whole = self._timed.get((stage, _WHOLE))
            if whole is not None:
                yield self._span(whole, self._place.span)
                for each in self._timed.values():
                    if each.stage == stage and each.check:
                        yield self._span(each, self._id(whole))

    def events(self) -> tuple[Event, ...]:
        """Verdicts of what was not timed. When they were given is not recorded: on what came in, before the first
        attempt; on what a model said, by the end."""
        attempts, end_ms = self._record.attempts, self._place.end_ms
        asked_ms = min(attempts[0].sent_ms or end_ms, end_ms) if attempts else end_ms
        untimed = [found for found in self._verdicts if self._of(found) is None]
        return _events(untimed, lambda found: self._place.at(end_ms if found.phase in _MADE else asked_ms))

    def _of(self, found: Found) -> Timed | None:
        """What was timed when a verdict was given. What a model once said may be in a request too."""
        stages = (ANSWER, REQUEST) if found.phase in _MADE else (REQUEST,)
        keys = [(stage, found.check) for stage in stages] + [(stage, _WHOLE) for stage in stages]
        return next((self._timed[key] for key in keys if key in self._timed), None)

    def _span(self, timed: Timed, parent: str) -> Span:
        place = self._place
        end = place.at(min((timed.began_us + timed.took_us) / 1e3, place.end_ms))
        given = [found for found in self._verdicts if self._of(found) is timed]
        failures = [found.code for found in given if timed.check and found.action in _FAILED]
        told: Attributes = {
            genai.CHECK_STAGE: timed.stage,
            genai.CHECK_SPENT: timed.spent_us,
            (genai.CHECK_ASKED if timed.check else genai.CHECK_PIECES): timed.times,
        }
        if self._record.chain:
            told[genai.CHAIN] = self._record.chain
        if timed.check:
            told[genai.CHECK_NAME] = timed.check
        if failures:
            told[genai.ERROR_TYPE] = failures[0]
        return Span(
            f"check {timed.check or timed.stage}",
            Kind.INTERNAL,
            place.trace,
            self._id(timed),
            parent,
            min(place.at(timed.began_us / 1e3), end),
            end,
            told,
            error=bool(failures),
            events=_events(given, lambda _: end),
        )

    def _id(self, timed: Timed) -> str:
        """The record has the same whenever it is asked; nobody needs it while the request runs."""
        name = f"{self._record.id} {timed.stage} {timed.check}"
        return blake2b(name.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _events(verdicts: Sequence[Found], at: Callable[[Found], int]) -> tuple[Event, ...]:
    return tuple(Event(genai.CHECK_EVENT, at(found), _told(found)) for found in verdicts)


def _told(found: Found) -> Attributes:
    return {
        genai.CHECK_PHASE: found.phase,
        genai.CHECK_NAME: found.check,
        genai.CHECK_CODE: found.code,
        genai.CHECK_ACTION: found.action,
        genai.CHECK_SCORE: float(found.score),
        genai.CHECK_COUNT: int(found.times),
    }
