"""On what terms a kind of request is served: its buckets, its prices, and what it must hold. Pure.

A `Terms` is made once for a caller, a model and whatever else its meters count by, and used for every such request
until a window ends or the configuration changes. `needs` and `Needs` are amounts by quantity: requests, input tokens,
output tokens, concurrent requests, nano-dollars.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from gateway.config.snapshot import Snapshot
from gateway.config.snapshot_meters import FREE, INPUT, OUTPUT, Meter, Price, Threshold
from gateway.policy import spend
from gateway.policy.leases import Bucket, Bundle, Needs, of
from gateway.policy.meters import Asker
from gateway.policy.overhead import Overhead
from gateway.policy.resolve import Plan
from gateway.wire.usage import MAX_TOKENS

FIRST_STEP: Final = 64
"""Output tokens that a progressive hold begins with, and grows by."""
SHARE: Final = 16
"""A worst case is held whole when it is at most one part in so many of what remains."""
ATTO: Final = 10**9
"""Atto-dollars in a nano-dollar."""


class Terms:
    """See the module. `plan` has the routes that may serve; price and bounds are those of the first, since a fallback
    is asked on its own terms.

    The path of every call reckons with token prices in parts of a nano-dollar: as few parts (mostly one) as tell all
    of them exactly, since products of small numbers are quick. `_in_most` and `_out_most` are the dearest of each kind.
    """

    __slots__ = (
        *("_cached_input", "_fixed", "_in_most", "_input", "_out_most", "_output", "_parts", "_reasoning", "allowed"),
        *("asker", "bundle", "closed", "counts_tokens", "from_ns", "headers", "headers_left", "headers_tick"),
        *("image_tokens", "made_by", "marks", "max_output", "money", "overhead", "plan", "price", "requests"),
        *("running", "until_ns"),
    )

    def __init__(
        self,
        asker: Asker,
        bundle: Bundle,
        from_ns: int,
        until_ns: int,
        plan: Plan,
        running: frozenset[str],
        *,
        money: bool,
        own: Price | None = None,
        overhead: Overhead | None = None,
        requests: int = 1,
    ) -> None:
        """`running` names the endpoints whose streams are metered as they run; with `money`, every route has a price.
        `own` is that of a model that runs in the gateway, to which no route leads; `overhead` that of the first route.
        `requests` is 0 for a request that was counted on other terms before.
        """
        self.asker = asker
        self.bundle = bundle
        self.from_ns = from_ns
        self.until_ns = until_ns
        self.plan = plan
        self.running = running
        self.money = money
        self.requests = requests
        route = plan.routes[0] if plan.routes else None
        self.overhead = overhead or Overhead()
        self.max_output = 0 if route is None else route.max_output
        self.image_tokens = 0 if route is None else route.image_tokens
        found = (own if route is None else route.price) if money else None
        self.price = price = FREE if found is None else found
        part = math.gcd(ATTO, price.input, price.cached_input, price.output, price.reasoning)
        self._parts = ATTO // part
        self._input, self._cached_input = price.input // part, price.cached_input // part
        self._output, self._reasoning = price.output // part, price.reasoning // part
        self._in_most = max(self._input, self._cached_input)
        self._out_most = max(self._output, self._reasoning)
        self._fixed = price.request + price.call
        counted = {bucket.quantity for bucket in bundle.buckets}
        self.counts_tokens = money or not counted.isdisjoint((INPUT, OUTPUT))
        self.closed = next((bucket for bucket in bundle.buckets if not bucket.meter.cap), None)
        """One whose cap is 0: it lets no call through, not even one that uses nothing of it."""
        self.marks = tuple(
            (bucket, min(each.amount for each in softer))
            for bucket in bundle.buckets
            if (softer := [each for each in bucket.meter.at if each.action != "warn"])
        )
        if self.closed is not None:
            self.marks += ((self.closed, 0),)
        self.made_by: object = None
        """Who remembers them: they say nothing to anyone else."""
        self.allowed = False
        """Whether its caller may ask for its model by name: another model's terms may lead to it all the same."""
        self.headers = b""
        self.headers_tick = b""
        self.headers_left = 0

    def again(self, plan: Plan, running: frozenset[str]) -> Terms:
        """The same for a request that was counted before, and goes this way now."""
        asker, bundle, overhead = self.asker, self.bundle, self.overhead
        since, until, money = self.from_ns, self.until_ns, self.money
        return Terms(asker, bundle, since, until, plan, running, money=money, requests=0, overhead=overhead)

    def needs(self, input_tokens: int, output_tokens: int) -> Needs:
        """What a request with at most so many tokens must hold."""
        nanos = self._fixed - (input_tokens * self._in_most + output_tokens * self._out_most) // -self._parts
        return (self.requests, input_tokens, output_tokens, 1, nanos)

    def charge(self, fresh: int, cached: int, said: int, thought: int) -> int:
        """What a call with these tokens of each class costs at `price`: as `spend.charge`, and for the call."""
        nanos = fresh * self._input + cached * self._cached_input + said * self._output + thought * self._reasoning
        parts = self._parts
        if parts > 1:
            rest = 2 * (nanos % parts)
            nanos //= parts
            if rest > parts or (rest == parts and nanos & 1):
                nanos += 1
        return nanos + self._fixed

    @property
    def input_costs(self) -> bool:
        """Whether any route has a price for input."""
        return self._in_most > 0

    def affordable(self, spare_nanos: int = 0) -> int:
        """How many output tokens what remains buys, as far as is known here, and money that is held already."""
        most = MAX_TOKENS
        for bucket in self.bundle.lengthening:
            if bucket.quantity == OUTPUT:
                most = min(most, bucket.remaining)
            elif self._out_most:
                most = min(most, (bucket.remaining + spare_nanos) * self._parts // self._out_most)
        return most

    def is_small(self, needs: Needs) -> bool:
        """Whether what is needed is a small share of what remains of output tokens and of money."""
        return all(of(needs, bucket.quantity) * SHARE <= bucket.remaining for bucket in self.bundle.lengthening)

    @property
    def crossed(self) -> bool:
        """Whether anything softer than a refusal may apply; True where it is not known."""
        return any(not bucket.known or bucket.used >= amount for bucket, amount in self.marks)

    def softer(self) -> list[Threshold]:
        """The thresholds that are crossed, the lowest share first, warnings aside."""
        return softer([(bucket.meter, bucket.used) for bucket, _ in self.marks])


def softer(used: Iterable[tuple[Meter, int]]) -> list[Threshold]:
    """The thresholds that are crossed where so much is used of meters, the lowest share first, warnings aside."""
    found = [each for meter, amount in used for each in meter.at if each.action != "warn" and amount >= each.amount]
    return sorted(found, key=lambda each: each.permille)


def downgraded_to(snapshot: Snapshot, crossed: Sequence[Threshold], alias: str, price: Price) -> str:
    """The cheaper model that the highest of the crossed thresholds names; "" where none does, or it is not cheaper than
    `price`, which is that of the model asked for."""
    for each in reversed(crossed):
        if each.action == "downgrade" and each.model != alias:
            route = snapshot.models.get(each.model)
            if route is not None and (not snapshot.money or spend.cheaper(route.price, price)):
                return each.model
    return ""


def too_large(bucket: Bucket, needs: Needs) -> bool:
    """Whether a request would not fit if it were the only one."""
    return of(needs, bucket.quantity) > bucket.cap


def frees_itself(meter: Meter) -> bool:
    """Whether waiting helps: what is used leaves a rolling window by and by, and calls that run end."""
    return meter.window.kind in ("rolling", "none")
