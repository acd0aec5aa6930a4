"""What meters tell a caller: the refusal, and the headers of an answer. Only where such a meter is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.config.snapshot_meters import CONCURRENT, INPUT, MONEY, OUTPUT, REQUESTS
from gateway.config.units_money import QUANTITIES, cap_text
from gateway.dataplane.admitted import Admitted
from gateway.errors import BudgetExhausted, MeterError, RateLimited
from gateway.policy import spend, windows
from gateway.policy.leases import Bucket, Needs
from gateway.policy.meters import DOWNGRADED
from gateway.policy.terms import Terms, frees_itself, too_large
from gateway.wire.usage import Usage

FRESH: Final = 8
"""How often between two ticks (a quarter of a second) the headers of one kind of request are made anew; after that they
are the last ones, since amounts change with every request and writing them costs more than counting.
"""
COST: Final = b"x-lockgate-cost-usd"
DOWNGRADED_TO: Final = b"x-lockgate-downgraded-to"
_NANO: Final = 10**9
_RATES: Final = (
    (
        (REQUESTS,),
        *(b"x-ratelimit-limit-requests", b"x-ratelimit-remaining-requests", b"x-ratelimit-reset-requests"),
    ),
    (
        (INPUT, OUTPUT),
        *(b"x-ratelimit-limit-tokens", b"x-ratelimit-remaining-tokens", b"x-ratelimit-reset-tokens"),
    ),
)
"""What OpenAI calls the limit of these quantities, what is left of it, and when all of it is free again."""
_encode: Final = msgspec.json.Encoder().encode
_AT_ONCE_S: Final = 1
"""When to try again where calls that run must end first."""


def refusal(terms: Terms, bucket: Bucket, needs: Needs, frees_s: float) -> MeterError:
    """The error for a request that a bucket is short for."""
    meter = bucket.meter
    limit = f"the {meter.level}'s limit of {_amount(bucket, meter.stated_cap)}"
    if meter.per:
        limit += f" for each {meter.per.replace('_', ' ')}"
    if meter.window.kind not in ("none", "lifetime"):
        limit += f" in {_span(bucket)}"
    lines = tuple((name.decode(), value.decode()) for name, value in _limits(terms.bundle.buckets, None))
    if too_large(bucket, needs):
        words = f"this request may need {_amount(bucket, needs[meter.quantity])}, which is more than {limit}"
        return BudgetExhausted(words, headers=lines)
    if frees_itself(meter):
        wait_s = _AT_ONCE_S if meter.quantity == CONCURRENT else max(1, -int(-frees_s // 1))
        return RateLimited(f"{limit} is reached", headers=(("retry-after", str(wait_s)), *lines))
    return BudgetExhausted(f"{limit} is used up", headers=lines)


def lines(record: Admitted, tick: bytes, wall_ns: int) -> bytes:
    """The header lines of an answer, as of now; `tick` is another object after each tick."""
    terms, row = record.terms, record.row
    if terms.headers_tick is not tick:
        terms.headers_tick, terms.headers_left = tick, FRESH
    if terms.headers_left:
        terms.headers_left -= 1
        terms.headers = b"".join([b"%b: %b\r\n" % line for line in _limits(terms.bundle.buckets, wall_ns)])
    out = terms.headers
    if row.charge_nanos is not None:
        out += b"%b: %b\r\n" % (COST, usd(row.charge_nanos))
    if row.action.startswith(DOWNGRADED):
        model = row.action[len(DOWNGRADED) :].partition(" ")[0]
        out += b"%b: %b\r\n" % (DOWNGRADED_TO, model.encode())
    return out


def note(record: Admitted, usage: Usage | None, cut_by: str = "") -> bytes:
    """What the last frame of a stream tells in the words of the headers, as JSON: what it cost, as far as that is
    known, and what is left; and which bucket ended it, if one did. b"" for nothing.
    """
    told = []
    if cut_by:
        told.append(b'"cut":"budget","meter":%b' % _encode(cut_by))
    if record.terms.money and usage is not None:
        nanos = min(spend.charge(record.terms.price, usage), record.row.held_nanos)
        told.append(b'"cost_usd":"%b"' % usd(nanos))
        left = remaining_nanos(record.terms.bundle.buckets)
        if left is not None:
            told.append(b'"budget_remaining_usd":"%b"' % usd(left))
    return b"{%b}" % b",".join(told) if told else b""


def usd(nanos: int) -> bytes:
    """Nano-dollars as dollars, exactly."""
    return b"%d.%09d" % divmod(nanos, _NANO)


def remaining_nanos(buckets: Iterable[Bucket]) -> int | None:
    """What the tightest budget has left, as far as is known here; None without one."""
    return min((_left(bucket) for bucket in buckets if bucket.quantity == MONEY), default=None)


def _limits(buckets: Iterable[Bucket], wall_ns: int | None) -> list[tuple[bytes, bytes]]:
    """The tightest limit of requests and of tokens, in the words of OpenAI's headers, and what money is left."""
    found = []
    for quantities, limit, left, reset in _RATES:
        tightest = min((each for each in buckets if each.quantity in quantities), key=_share, default=None)
        if tightest is not None:
            found += [(limit, b"%d" % tightest.cap), (left, b"%d" % _left(tightest))]
            if wall_ns is not None and (when := _reset(tightest, wall_ns)):
                found.append((reset, when))
    nanos = remaining_nanos(buckets)
    if nanos is not None:
        found.append((b"x-lockgate-budget-remaining-usd", usd(nanos)))
    return found


def _amount(bucket: Bucket, amount: int) -> str:
    return cap_text(f"{amount} {QUANTITIES[bucket.quantity]}")


def _left(bucket: Bucket) -> int:
    return max(0, bucket.cap - bucket.used)


def _share(bucket: Bucket) -> float:
    return _left(bucket) / bucket.cap if bucket.cap else 0.0


def _reset(bucket: Bucket, wall_ns: int) -> bytes:
    """When all of it is free again, as OpenAI writes it: `6m0s`."""
    window = bucket.meter.window
    seconds = window.seconds
    if not seconds:
        ends_ns = windows.ends_ns(window, wall_ns)
        if ends_ns is None:
            return b""
        seconds = max(0, -((wall_ns - ends_ns) // _NANO))
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return b"%dh%dm%ds" % (hours, minutes, seconds)
    return b"%dm%ds" % (minutes, seconds) if minutes else b"%ds" % seconds


def _span(bucket: Bucket) -> str:
    window = bucket.meter.window
    return f"{window.seconds} s" if window.seconds else f"a {window.kind}"
