"""What a request that has ended is charged, and what it used where nobody said so. Pure: the one place for both the
path and whoever reads its record later.
"""

from __future__ import annotations

from typing import Final, Protocol

from gateway.config.snapshot_meters import Price
from gateway.policy import spend
from gateway.policy.bounds import UNCOUNTED
from gateway.wire.usage import Usage

OK: Final = 200


class Ended(Protocol):
    """What is read of a request."""

    @property
    def endpoint(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def stream(self) -> bool: ...
    @property
    def status(self) -> int: ...
    @property
    def answer_bytes(self) -> int: ...
    @property
    def held_input(self) -> int: ...
    @property
    def held_output(self) -> int: ...


def unstated(row: Ended, *, sent: bool) -> tuple[int, int, str]:
    """Input and output tokens of a request of which no usage was stated that can be believed: what it was at most, as
    far as can be seen from here; and the word of `usage_from` for it. `sent`: a backend was asked."""
    if row.endpoint in UNCOUNTED:
        return 0, 0, "backend" if row.outcome == "answered" and row.endpoint == "infer" else "none"
    if row.outcome == "answered" or (row.stream and row.answer_bytes and row.status == OK):  # no error's bytes
        return row.held_input, min(row.held_output, row.answer_bytes), "bound"
    if sent and row.outcome == "cancelled":  # nobody saw the end
        return row.held_input, row.held_output, "held"
    return 0, 0, "none"


def charged(price: Price, usage: Usage, usage_from: str, waste_tokens: int, *, left: bool) -> tuple[int, int]:
    """Nano-dollars the tenant pays, and what its waste costs: within the former where the caller `left`."""
    nanos = 0 if usage_from == "none" else spend.charge(price, usage) + price.call
    waste = spend.charge(price, Usage(0, 0, waste_tokens, 0)) - price.request
    return (nanos + waste if left else nanos), waste
