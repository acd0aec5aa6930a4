"""What a request takes when it is let in, and what it is told when it is not (`admission`)."""

from __future__ import annotations

from typing import Final

from gateway.dataplane import meter_answers
from gateway.dataplane.admitted import Admitted
from gateway.dataplane.leasing import Leasing, Short
from gateway.errors import MeterError
from gateway.policy import bounds
from gateway.policy.leases import Hold, Needs
from gateway.policy.terms import Terms
from gateway.wire.call import Call

GENERATES: Final = frozenset(bounds.LIMITS)


def runs(terms: Terms, call: Call) -> bool:
    """Whether a stream of this call is metered while it runs."""
    return terms.counts_tokens and call.endpoint in terms.running and bounds.answers(call) == call.choices


def take(record: Admitted, terms: Terms, hold: Hold, needs: Needs, call: Call) -> None:
    """The record holds it now, and settles it when it is closed."""
    record.hold, record.terms = hold, terms
    record.running = call.stream and runs(terms, call)
    row = record.row
    row.held_input, row.held_output, row.held_nanos = needs[1], needs[2], needs[4]


def least(terms: Terms, call: Call, given: int) -> Needs:
    """What a call with so much input needs to be let in at all."""
    if not terms.counts_tokens:
        return terms.needs(0, 0)
    output_tokens = bounds.output_tokens(call, terms.max_output)
    if call.endpoint in GENERATES:
        output_tokens = min(output_tokens, bounds.answers(call))
    return terms.needs(given, output_tokens)


async def cover_judges(record: Admitted, leasing: Leasing) -> None:
    """Holds again what judging the request's texts has cost, on the terms it was let in on now. Raises as admission
    does; then nothing is held."""
    hold, terms, nanos = record.hold, record.terms, record.row.judge_nanos
    assert hold is not None
    record.judge_held = nanos
    if nanos and not await leasing.extend(hold, 0, nanos):
        money = terms.bundle.money
        short = next((bucket for bucket in money if bucket.remaining < nanos), money[0])
        record.let_go(leasing)
        raise refused(record, terms, Short(short), (0, 0, 0, 0, nanos))


def refused(record: Admitted, terms: Terms, short: Short, needs: Needs) -> MeterError:
    """What a request is told that does not fit; the record says which bucket was short of what."""
    row, bucket = record.row, short.bucket
    row.held_input, row.held_output, row.held_nanos = needs[1], needs[2], needs[4]
    row.readings.append((bucket.key, bucket.used, bucket.cap))
    record.acted(f"refused:{bucket.key}")
    return meter_answers.refusal(terms, bucket, needs, bucket.frees_s)
