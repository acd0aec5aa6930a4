"""Ending a hold: what a request used becomes its charge, and the rest is free again. Never raises, never waits: it
happens in the step that closes the record, so that the two cannot say different things.
"""

from __future__ import annotations

from gateway.dataplane.admitted import Admitted
from gateway.dataplane.leasing import Leasing
from gateway.policy import spend
from gateway.policy.bounds import UNCOUNTED
from gateway.policy.meters import BEYOND
from gateway.wire.usage import Usage


def settle(record: Admitted, leasing: Leasing) -> None:
    """Settles what the record, now complete but for its charge, says was used."""
    row, terms, hold = record.row, record.terms, record.hold
    assert hold is not None
    if row.input_tokens is None:
        _find_out(record)
    elif not row.usage_from:
        row.usage_from = "backend"
    given = (row.input_tokens or 0) + (row.cached_input_tokens or 0)
    made = (row.output_tokens or 0) + (row.reasoning_tokens or 0)
    nanos = 0
    if terms.money:
        price = terms.price if len(terms.plan.routes) == 1 else terms.price_of(row.backend, row.served_model)
        if row.usage_from != "none":
            nanos = spend.charge(price, row) + price.call  # type: ignore[arg-type]  # by now its four counts are known
        if row.waste_tokens:
            row.waste_nanos = spend.charge(price, Usage(0, 0, row.waste_tokens, 0)) - price.request
            if row.outcome == "cancelled":
                nanos += row.waste_nanos
    if row.outcome == "cancelled":
        made += row.waste_tokens
    if terms.counts_tokens:
        if given > row.held_input or made > row.held_output or nanos > row.held_nanos:
            record.acted(BEYOND)
            nanos = min(nanos, row.held_nanos)
        if terms.money:
            row.charge_nanos = nanos
    leasing.settle(hold, (1, given, made, 1, nanos))


def _find_out(record: Admitted) -> None:
    """No usage was stated that can be believed: what it was at most, as far as can be seen from here."""
    row = record.row
    sent = any(attempt.sent_ms > 0 for attempt in row.attempts)
    row.cached_input_tokens = row.reasoning_tokens = 0
    if row.endpoint in UNCOUNTED:
        row.input_tokens = row.output_tokens = 0
        row.usage_from = "backend" if row.outcome == "answered" and row.endpoint == "infer" else "none"
    elif row.outcome == "answered" or (row.stream and row.answer_bytes):
        row.input_tokens = row.held_input
        row.output_tokens = min(row.held_output, row.answer_bytes)
        row.usage_from = "bound"
    elif sent and row.outcome == "cancelled":  # nobody saw the end
        row.input_tokens, row.output_tokens = row.held_input, row.held_output
        row.usage_from = "held"
    else:
        row.input_tokens = row.output_tokens = 0
        row.usage_from = "none"
