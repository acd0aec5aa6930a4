"""What meters tell a caller: the refusal, and the headers of an answer. Only where such a meter is."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.config.snapshot_meters import CONCURRENT
from gateway.config.units_money import QUANTITIES, cap_text
from gateway.dataplane.admitted import Admitted
from gateway.errors import BudgetExhausted, MeterError, RateLimited
from gateway.policy import spend, windows
from gateway.policy.leases import Bucket, Bundle, Needs, of
from gateway.policy.meters import DOWNGRADED
from gateway.policy.terms import Terms, frees_itself, too_large
from gateway.wire.usage import Usage

FRESH: Final = 8
"""How often between two ticks (a quarter of a second) the headers of one kind of request are made anew; after that they
are the last ones, since amounts change with every request and writing them costs more than counting.
"""
_NANO: Final = 10**9
_DIGITS: Final = [b"%03d" % number for number in range(1_000)]
COST: Final = b"x-lockgate-cost-usd: "
LEFT: Final = b"x-lockgate-budget-remaining-usd: "
DOWNGRADED_TO: Final = b"x-lockgate-downgraded-to"
_REQUESTS: Final = (b"x-ratelimit-limit-requests", b"x-ratelimit-remaining-requests", b"x-ratelimit-reset-requests")
_TOKENS: Final = (b"x-ratelimit-limit-tokens", b"x-ratelimit-remaining-tokens", b"x-ratelimit-reset-tokens")
"""What OpenAI calls the limit of these, what is left of it, and when all of it is free again."""
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
    lines = tuple(_named(line) for line in _limits(terms.bundle, 0).decode().splitlines())
    if too_large(bucket, needs):
        words = f"this request may need {_amount(bucket, of(needs, meter.quantity))}, which is more than {limit}"
        return BudgetExhausted(words, headers=lines)
    if frees_itself(meter):
        wait_s = _AT_ONCE_S if meter.quantity == CONCURRENT else max(1, -int(-frees_s // 1))
        return RateLimited(f"{limit} is reached", headers=(("retry-after", str(wait_s)), *lines))
    return BudgetExhausted(f"{limit} is used up", headers=lines)


def lines(record: Admitted, tick: bytes) -> bytes:
    """The header lines of an answer, as of now; `tick` is another object after each tick."""
    terms, row = record.terms, record.row
    if terms.headers_tick is not tick:
        terms.headers_tick, terms.headers_left = tick, FRESH
    if terms.headers_left > 0:
        terms.headers_left -= 1
        terms.headers = _limits(terms.bundle, row.started_ns)
    out = terms.headers
    charge = row.charge_nanos
    if charge is not None:
        out = _priced(out, COST, charge)
    action = row.action
    if action and action.startswith(DOWNGRADED):
        model = action[len(DOWNGRADED) :].partition(" ")[0]
        out = b"%b%b: %b\r\n" % (out, DOWNGRADED_TO, model.encode())
    return out


def note(record: Admitted, usage: Usage | None, cut_by: str = "") -> bytes:
    """What the last frame of a stream tells in the words of the headers, as JSON: what it cost, as far as that is
    known, and what is left; and which bucket ended it, if one did. b"" for nothing.
    """
    told = []
    if cut_by:
        told.append(b'"cut":"budget","meter":%b' % _encode(cut_by))
    if record.terms.money and usage is not None:
        nanos = min(spend.charge(record.terms.price, usage), record.row.held_nanos) + record.row.judge_nanos
        told.append(b'"cost_usd":"%b"' % usd(nanos))
        left = remaining_nanos(record.terms.bundle)
        if left is not None:
            told.append(b'"budget_remaining_usd":"%b"' % usd(left))
    return b"{%b}" % b",".join(told) if told else b""


def usd(nanos: int) -> bytes:
    """Nano-dollars, not negative, as dollars, exactly."""
    return _priced(b"", b"", nanos)[:-2]


def _priced(before: bytes, name: bytes, nanos: int) -> bytes:
    """These lines, and one more: a name and so many dollars. All at once, since every answer has one."""
    rest = nanos % _NANO
    millions, thousands, ones = rest // 1_000_000, rest // 1_000 % 1_000, rest % 1_000
    digits = _DIGITS[millions], _DIGITS[thousands], _DIGITS[ones]
    if rest == nanos:
        return b"%b%b0.%b%b%b\r\n" % (before, name, digits[0], digits[1], digits[2])
    return b"%b%b%d.%b%b%b\r\n" % (before, name, nanos // _NANO, digits[0], digits[1], digits[2])


def remaining_nanos(bundle: Bundle) -> int | None:
    """What the tightest budget has left, as far as is known here; None without one."""
    least: int | None = None
    for bucket in bundle.money:
        left = _left(bucket)
        if least is None or left < least:
            least = left
    return least


def _limits(bundle: Bundle, wall_ns: int) -> bytes:
    """The lines about what is left: of requests, of tokens, of money. With `wall_ns` 0, not when it is free again."""
    out = _rate(bundle.requests, _REQUESTS, wall_ns) + _rate(bundle.tokens, _TOKENS, wall_ns)
    nanos = remaining_nanos(bundle)
    return out if nanos is None else _priced(out, LEFT, nanos)


def _rate(buckets: tuple[Bucket, ...], names: tuple[bytes, bytes, bytes], wall_ns: int) -> bytes:
    """The lines about the tightest of these."""
    tightest: Bucket | None = None
    least = 0.0
    for bucket in buckets:
        share = _left(bucket) / bucket.cap if bucket.cap else 0.0
        if tightest is None or share < least:
            tightest, least = bucket, share
    if tightest is None:
        return b""
    out = b"%b: %d\r\n%b: %d\r\n" % (names[0], tightest.cap, names[1], _left(tightest))
    reset = _reset(tightest, wall_ns) if wall_ns else b""
    return b"%b%b: %b\r\n" % (out, names[2], reset) if reset else out


def _named(line: str) -> tuple[str, str]:
    name, _, value = line.partition(": ")
    return name, value


def _amount(bucket: Bucket, amount: int) -> str:
    return cap_text(f"{amount} {QUANTITIES[bucket.quantity]}")


def _left(bucket: Bucket) -> int:
    return max(0, bucket.cap - bucket.used)


def _reset(bucket: Bucket, wall_ns: int) -> bytes:
    """When all of it is free again, as OpenAI writes it: `6m0s`."""
    window = bucket.meter.window
    seconds = window.seconds
    if not seconds:
        if bucket.ends_ns < 0:  # worked out once: calendars take their time
            bucket.ends_ns = windows.ends_ns(window, wall_ns) or 0
        if not bucket.ends_ns:
            return b""
        seconds = max(0, -((wall_ns - bucket.ends_ns) // _NANO))
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return b"%dh%dm%ds" % (hours, minutes, seconds)
    return b"%dm%ds" % (minutes, seconds) if minutes else b"%ds" % seconds


def _span(bucket: Bucket) -> str:
    window = bucket.meter.window
    return f"{window.seconds} s" if window.seconds else f"a {window.kind}"
