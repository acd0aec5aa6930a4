"""Ending a hold: what a request used becomes its charge, and the rest is free again. Never raises, never waits: it
happens in the step that closes the record, so that the two cannot say different things.
"""

from __future__ import annotations

from gateway.dataplane.admitted import Admitted
from gateway.dataplane.leasing import Leasing
from gateway.policy import settled
from gateway.policy.meters import BEYOND, spent_of
from gateway.wire.usage import Usage


def settle(record: Admitted, leasing: Leasing) -> None:
    """Settles what the record, now complete but for its charge, says was used."""
    row, terms, hold = record.row, record.terms, record.hold
    assert hold is not None
    fresh, cached, said, thought = row.input_tokens, row.cached_input_tokens, row.output_tokens, row.reasoning_tokens
    if fresh is None or cached is None or said is None or thought is None or row.usage_from:
        _settle_rare(record, leasing)
        return
    row.usage_from = "backend"
    given, made, nanos = fresh + cached, said + thought, 0
    if terms.money:
        nanos = terms.charge(fresh, cached, said, thought)
        row.charge_nanos = nanos
    if terms.counts_tokens:
        _, held_input, held_output, _, held_nanos = hold.amounts
        if given > held_input or made > held_output or nanos > held_nanos - record.judge_held:
            _beyond(record)
    if record.judge_held:
        nanos = _with_judges(record)
    leasing.settle(hold, (1, given, made, 1, nanos))  # at most what is held


def _settle_rare(record: Admitted, leasing: Leasing) -> None:
    """The same where usage is not what the backend said at its end."""
    row, terms, hold = record.row, record.terms, record.hold
    assert hold is not None
    if row.input_tokens is None:
        _find_out(record)
    row.usage_from = row.usage_from or "backend"
    usage = Usage(
        row.input_tokens or 0, row.cached_input_tokens or 0, row.output_tokens or 0, row.reasoning_tokens or 0
    )
    if terms.money:
        left = row.outcome == "cancelled"
        row.charge_nanos, row.waste_nanos = settled.charged(
            terms.price, usage, row.usage_from, row.waste_tokens, left=left
        )
    if terms.counts_tokens:
        given, made = usage.input_tokens + usage.cached_input_tokens, usage.output_tokens + usage.reasoning_tokens
        if row.outcome == "cancelled":
            made += row.waste_tokens
        if given > row.held_input or made > row.held_output or (row.charge_nanos or 0) > row.held_nanos:
            _beyond(record)
    if record.judge_held:
        _with_judges(record)
    _, given, made, _, nanos = spent_of(row)
    leasing.settle(hold, (1, given, made, 1, nanos))


def _with_judges(record: Admitted) -> int:
    """Adds what judging its texts cost to the charge, which is returned: at most what is held."""
    row, hold = record.row, record.hold
    assert hold is not None
    row.held_nanos = held = hold.amounts[4]
    row.judge_nanos = min(row.judge_nanos, held)
    row.charge_nanos = charge = min((row.charge_nanos or 0) + row.judge_nanos, held)
    return charge


def _beyond(record: Admitted) -> None:
    """More was used than was held: whoever counts is wrong, or a bound was. It is settled as held, and told."""
    row = record.row
    record.acted(BEYOND)
    record.terms.overhead.doubted = True
    if row.charge_nanos is not None:
        row.charge_nanos = min(row.charge_nanos, row.held_nanos)


def _find_out(record: Admitted) -> None:
    """No usage was stated that can be believed: what it was at most, as far as can be seen from here."""
    row = record.row
    sent = any(attempt.sent_ms > 0 for attempt in row.attempts)
    row.cached_input_tokens = row.reasoning_tokens = 0
    row.input_tokens, row.output_tokens, row.usage_from = settled.unstated(row, sent=sent)
