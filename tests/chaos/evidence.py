"""What is known of a run when it is over, from five witnesses: the journals, the callers, the upstream, the authority,
and the tables that the keeper wrote.

Pure: whoever gathers it does the I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote

from gateway.backends.fake_produced import Production
from gateway.store.records import Record
from tests.chaos.load import Call
from tests.chaos.plan import Cap
from tests.chaos.tables import Tables


class Holding(NamedTuple):
    """One bucket as the authority held it at one moment: `settled` counts for the window of that moment; `held` is all
    that owners were granted and have neither settled nor given back."""

    key: str
    settled: int
    held: int
    at_s: float = 0.0


class Event(NamedTuple):
    """Something that a worker decided, in the order of its journal: "hold" (also a larger one), "settle", "refuse"."""

    at_s: float
    worker: str
    what: str
    id: str
    record: Record
    held: tuple[int, int, int]  # input, output, nanos


@dataclass
class Evidence:
    """All of it. `records` are those of every journal, with what recovery made; `history` is every version of every
    bucket that the authority stored, or as many as were seen; `final` the last one of each, after the gateway's end."""

    caps: Sequence[Cap]
    records: Sequence[Record]
    calls: Sequence[Call]
    produced: Mapping[str, Sequence[Production]]
    history: Sequence[Holding]
    final: Mapping[str, Holding]
    events: Sequence[Event] = ()
    damaged: int = 0  # places in the journals that could not be read
    spent_out: Mapping[str, int] = field(default_factory=dict)  # bucket → nanos that the cheapest request would hold
    wall_ahead_s: float = 0.0  # wall time less the monotonic clock, in which callers and the upstream tell time
    tables: Tables = field(default_factory=Tables)
    # How long the worker of a journal waited for a CPU, between two moments.
    waited_s: Callable[[str, float, float], float] = lambda *_: 0.0
    done: Mapping[str, int] = field(default_factory=dict)  # fault → how often it met the keeper at work


def admitted(record: Record) -> bool:
    """Did the meters let it through?"""
    return record.usage_from != ""


def settled_output(record: Record) -> int:
    """Output tokens that are settled for it, the tenant's: with those that nobody got since the caller left."""
    if record.outcome == "crashed":
        return record.held_output
    wasted = record.waste_tokens if record.outcome == "cancelled" else 0
    # More than was held is told in the record, and not settled.
    return min((record.output_tokens or 0) + (record.reasoning_tokens or 0) + wasted, record.held_output)


def wasted_output(record: Record) -> int:
    """Output tokens that are nobody's but the operator's: what came after a cut, and of what a caller that left had
    made for it, what its hold did not cover: no more than that is ever settled."""
    if record.outcome != "cancelled":
        return record.waste_tokens
    made = (record.output_tokens or 0) + (record.reasoning_tokens or 0) + record.waste_tokens
    return made - settled_output(record)


def cut_s(record: Record) -> float:
    """When the gateway hung up on the upstream, in seconds of wall time."""
    return record.started_ns / 1e9 + record.attempts[-1].ended_ms / 1e3


def settled_input(record: Record) -> int:
    if record.outcome == "crashed":
        return record.held_input
    return min((record.input_tokens or 0) + (record.cached_input_tokens or 0), record.held_input)


def spent(record: Record, quantity: str) -> int:
    """What a settled record takes from a meter of this quantity."""
    match quantity:
        case "requests":
            return 1
        case "input_tokens":
            return settled_input(record)
        case "output_tokens":
            return settled_output(record)
        case "usd":
            return record.charge_nanos or 0
        case _:
            return 0


def bucket_of(cap: Cap, record: Record) -> str | None:
    """A text for the bucket of this cap that a record falls in; None where the cap is not about it."""
    subject = {
        "gateway": "",
        "tenant": record.tenant,
        "key": f"{record.tenant}/{record.key}",
        "model": record.alias,
    }[cap.level]
    if subject != cap.subject:
        return None
    value = {"": "", "end_user": record.end_user, "tenant": record.tenant, "key": record.key}[cap.per]
    return f"{cap.level}{'.' + cap.per if cap.per else ''}:{cap.subject}{'/' + value if cap.per else ''}"


def cap_of(caps: Sequence[Cap], key: str) -> Cap | None:
    """The cap that a bucket of the authority belongs to, by its key `LEVEL:SUBJECT|QUANTITY|WINDOW|INSTANCE`."""
    where, quantity, window, _ = key.split("|")
    level, _, subject = where.partition(":")
    level, _, per = level.partition(".")
    subject = unquote(subject)
    for cap in caps:
        same_window = window.partition("@")[0] == cap.window
        if (cap.level, cap.per, cap.quantity) == (level, per, quantity) and same_window:
            parent = subject.rpartition("/")[0] if per else subject
            if parent == cap.subject:
                return cap
    return None


def unpaid_since_s(entries: Sequence[Production], settled: int) -> float:
    """When the upstream made the first token of a cut answer beyond those that are settled, as far as that is known."""
    beyond = sum(entry.output_tokens for entry in entries) - settled
    since_s = float("inf")
    for at_s, tokens in sorted((frame for entry in entries for frame in entry.latest), reverse=True):
        if beyond <= 0:
            break
        since_s, beyond = at_s, beyond - tokens
    return since_s
