"""Letting a request in: which meters it counts in, and a hold in all of them for what it can use at most.

Where all is at hand this is done at once (`at_once`). Else it waits for the authority (`admit`), and then: what was
crossed may send it to a cheaper model; the worst case is held whole where it is a small share of what remains; where
it is not, a stream whose backend counts as it runs begins with a first step, and anything else is bounded by what the
budget buys. Nothing of a request that is refused or cancelled here stays held.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from gateway.backends.base import Backend
from gateway.config.snapshot import ClassicModel, ModelRoute, Snapshot
from gateway.config.snapshot_callers import Caller
from gateway.config.snapshot_meters import INPUT, MONEY, OUTPUT, REQUESTS, Price
from gateway.dataplane.admitted import Admitted
from gateway.dataplane.holding import GENERATES, cover_judges, least, refused, runs, take
from gateway.dataplane.leasing import Leasing, Short
from gateway.dataplane.tokenizing import Tokenizers
from gateway.errors import MetersUnavailable
from gateway.policy import bounds, meters, resolve
from gateway.policy.conversation import HEADER as CONVERSATION_HEADER
from gateway.policy.conversation import conversation_key
from gateway.policy.leases import NOTHING, Bucket, Hold, Needs, of
from gateway.policy.meters import Asker
from gateway.policy.resolve import Plan
from gateway.policy.terms import FIRST_STEP, Terms, downgraded_to
from gateway.wire.call import Call, Codec

Key: TypeAlias = tuple[Caller, str, str, str, str]
"""Caller, model, project, end user, conversation."""
MOST_TERMS: Final = 150_000
"""Kinds of requests remembered; when there are more, the half that was made first is forgotten, and made again when it
is asked for."""
NEITHER: Final = (False, False)
ONE: Final[Needs] = (1, 0, 0, 0, 0)
LEAST: Final[Needs] = (0, 1, 1, 0, 1)
UNCOUNTED: Final[Needs] = (1, 0, 0, 1, 0)
"""Of a request where no meter counts tokens or money."""
NO_STREAMS: Final[frozenset[str]] = frozenset()
FALLBACK: Final = "fallback"


class Admission:
    """The meters of one snapshot in one worker."""

    __slots__ = ("_backends", "_mark", "_names", "_plain", "_snap", "_special", "_tokenizers", "leasing")

    def __init__(
        self, snap: Snapshot, leasing: Leasing, backends: Mapping[str, Backend], tokenizers: Tokenizers
    ) -> None:
        self._snap = snap
        self._mark = object()
        self.leasing = leasing
        self._backends = backends
        self._tokenizers = tokenizers
        self._plain: dict[tuple[Caller, str], Terms] = {}
        self._special: dict[Key, Terms] = {}
        self._names: dict[tuple[Caller, str, str], tuple[bool, bool]] = {}

    def at_once(self, record: Admitted, caller: Caller, call: Call, codec: Codec) -> Plan | None:
        """Admits what can be admitted without waiting, and says which routes may serve; None for anything else. Raises
        `ModelNotFound`, `NotServed`, `NotPriced`.
        """
        started_ns = record.row.started_ns
        headers = record.headers
        terms = headers.terms
        if terms is None or terms.made_by is not self._mark or terms.plan.alias != call.alias:
            terms = headers.terms = self._plain.get((caller, call.alias))
        if terms is None or not (terms.allowed and terms.from_ns <= started_ns < terms.until_ns):
            plan = resolve.plan(self._snap, caller, call)
            terms = self._terms(record, caller, call, call.alias, plan, codec)
            terms.allowed = True
            headers.terms = terms if terms.made_by is self._mark else None
        if terms.counts_tokens:
            given = bounds.input_tokens(call, terms.image_tokens, terms.overhead)
            needs = terms.needs(given, bounds.output_tokens(call, terms.max_output))
        else:
            needs = UNCOUNTED
        if terms.marks and terms.crossed:
            return None
        hold = self.leasing.hold(terms.bundle, needs)
        if isinstance(hold, Bucket):
            return None
        take(record, terms, hold, needs, call)
        return terms.plan

    async def admit(self, record: Admitted, caller: Caller, call: Call, plan: Plan, codec: Codec) -> tuple[Plan, Call]:
        """Admits anything, or raises what refuses it: `NotPriced`, `RateLimited`,
        `BudgetExhausted`, `MetersUnavailable`. Returns the routes that may serve and the call, which may be bounded.
        """
        terms = self._terms(record, caller, call, call.alias, plan, codec)
        if terms.marks:
            await self._know(terms)
            terms = self._downgraded(record, caller, call, terms, codec)
            await self._know(terms)
            record.decided_by(terms)
        return terms.plan, await self._let_in(record, terms, call)

    async def _let_in(self, record: Admitted, terms: Terms, call: Call) -> Call:
        """Holds what the call needs on these terms; returns it, perhaps bounded. What it can have of input at most is
        counted before it is refused for that.
        """
        if terms.closed is not None:
            raise refused(record, terms, Short(terms.closed), least(terms, call, 0))
        clamp = any(each.action == "clamp" for each in terms.softer())
        given = bounds.input_tokens(call, terms.image_tokens, terms.overhead) if terms.counts_tokens else 0
        try:
            return await self._hold_for(record, terms, call, given, clamp)
        except Short as short:
            found = short
        counted = await self._counted(record, terms, call, given, found)
        if counted is None:
            raise refused(record, terms, found, least(terms, call, given))
        try:
            return await self._hold_for(record, terms, call, counted, clamp)
        except Short as short:
            raise refused(record, terms, short, least(terms, call, counted)) from None

    async def _hold_for(self, record: Admitted, terms: Terms, call: Call, given: int, clamp: bool) -> Call:
        """The same for so many input tokens. Raises Short."""
        record.row.asked_output = record.row.answers = 0
        output_tokens = bounds.output_tokens(call, terms.max_output) if terms.counts_tokens else 0
        whole = terms.needs(given, output_tokens)
        generates = output_tokens > 0 and call.endpoint in GENERATES
        if not generates or (terms.is_small(whole) and not clamp):
            try:
                take(record, terms, await self.leasing.hold_or_wait(terms.bundle, whole), whole, call)
            except Short:
                if not generates:
                    raise
            else:
                return call
        record.row.asked_output, record.row.answers = output_tokens, bounds.answers(call)
        progressive = not clamp and bounds.answers(call) == 1 and call.stream and runs(terms, call)
        first = min(output_tokens, FIRST_STEP) if progressive else bounds.answers(call)
        first = await self._begin(record, terms, call, given, first)
        if terms.is_small(whole) and not clamp and await self._lengthen(record, output_tokens - first):
            return call
        return call if progressive else await self._clamp(record, call, output_tokens)

    async def admit_classic(self, record: Admitted, caller: Caller, model: ClassicModel) -> None:
        """The same for a model that runs in this process, which costs the same whatever it is asked."""
        if self._snap.money and model.price is None:
            raise resolve.not_priced(model.alias)
        await self._admit_fixed(record, caller, model.alias, model.price)

    async def admit_free(self, record: Admitted, caller: Caller) -> None:
        """The same for what the gateway answers without a model: a request, which costs nothing."""
        await self._admit_fixed(record, caller, "", None)

    async def _admit_fixed(self, record: Admitted, caller: Caller, alias: str, price: Price | None) -> None:
        row = record.row
        key = (caller, alias, row.project, "", "")
        terms = self._special.get(key)
        if terms is None or not terms.from_ns <= row.started_ns < terms.until_ns:
            terms = self._special[key] = self._made(
                caller, self._asker(caller, key), row.started_ns, Plan(alias, (), "direct"), price
            )
        needs = terms.needs(0, 0)
        try:
            if terms.closed is not None:
                raise Short(terms.closed)
            hold = self.leasing.hold(terms.bundle, needs)
            if isinstance(hold, Bucket):
                hold = await self.leasing.hold_or_wait(terms.bundle, needs)
        except Short as short:
            raise refused(record, terms, short, needs) from None
        record.hold, record.terms, record.running = hold, terms, False
        row.held_nanos = needs[4]

    async def fall_back(self, record: Admitted, caller: Caller, call: Call, route: ModelRoute, codec: Codec) -> Call:
        """Lets a request that was let in go on to the model of this route, on that model's own terms: its price, and
        what its meters have left. Returns the call, perhaps bounded. Raises as `admit` does; then nothing is held.
        """
        before = record.let_go(self.leasing)
        terms = self._terms(record, caller, call, route.alias, self._plan(route.alias), codec)
        counting = [each for each in terms.bundle.buckets if each.quantity == REQUESTS and each not in before.buckets]
        own = terms.again(Plan(route.alias, (route,), FALLBACK), self._running(route))
        await self._know(own)
        call = await self._let_in(record, own, call)
        await cover_judges(record, self.leasing)
        if counting:
            bundle = self.leasing.bundle(counting)
            try:
                self.leasing.settle(await self.leasing.hold_or_wait(bundle, ONE), NOTHING)
            except Short as short:
                record.let_go(self.leasing)
                record.hold = Hold(before, NOTHING)
                raise refused(record, own, short, ONE) from None
        return call

    async def resized(self, record: Admitted, call: Call) -> Call:
        """Holds for a call that was let in what it needs now that its body is another. Returns it, perhaps bounded.
        Raises as `admit` does; then nothing is held.
        """
        terms = record.terms
        if terms.counts_tokens:
            record.let_go(self.leasing)
            call = await self._let_in(record, terms.again(terms.plan, terms.running), call)
            await cover_judges(record, self.leasing)
        return call

    def _plan(self, alias: str) -> Plan:
        """The plan of a model that the snapshot has."""
        route = self._snap.models[alias]
        return Plan(alias, (route, *route.fallback), "with_fallbacks" if route.fallback else "direct")

    # -- terms

    def _terms(self, record: Admitted, caller: Caller, call: Call, model: str, plan: Plan, codec: Codec) -> Terms:
        """The terms of this request, from what is remembered or made. Raises NotPriced."""
        row = record.row
        names = self._names.get((caller, model, row.project))
        if names is None:
            found = meters.meters_of(self._snap, caller, row.project, model)
            names = (meters.needs_name(found, "end_user"), meters.needs_name(found, "conversation"))
            _make_room(self._names)
            self._names[caller, model, row.project] = names
        end_user = (call.end_user or "") if names[0] else ""
        conversation = ""
        if names[1]:
            if not row.conversation:
                header = record.header(CONVERSATION_HEADER)
                row.conversation = (conversation_key(caller.tenant.name, header, call, codec.opening) or b"").hex()
            conversation = row.conversation
        key = (caller, model, row.project, end_user, conversation)
        plain = names == NEITHER and not caller.tenant.projects
        terms = self._plain.get((caller, model)) if plain else self._special.get(key)
        if terms is None or not terms.from_ns <= row.started_ns < terms.until_ns:
            terms = self._made(caller, self._asker(caller, key), row.started_ns, plan)
            if plain:
                _make_room(self._plain)
                self._plain[caller, model] = terms
                terms.made_by = self._mark
            else:
                _make_room(self._special)
                self._special[key] = terms
        return terms

    @staticmethod
    def _asker(caller: Caller, key: Key) -> Asker:
        _, model, project, end_user, conversation = key
        return Asker(caller.tenant.name, caller.key, project, model, end_user, conversation)

    def _made(self, caller: Caller, asker: Asker, wall_ns: int, plan: Plan, own: Price | None = None) -> Terms:
        money = self._snap.money
        found = meters.meters_of(self._snap, caller, asker.project, asker.model)
        buckets = [self.leasing.bucket(meter, meters.key_of(meter, asker, wall_ns)) for meter in found]
        if money and plan.routes:
            plan = resolve.priced(plan)
        until_ns = meters.until_ns(found, wall_ns)
        bundle, running, overhead = self.leasing.bundle(buckets), NO_STREAMS, None
        if plan.routes:
            route = plan.routes[0]
            running = self._running(route)
            overhead = self._backends[route.backend].overhead(route.served_model)
        return Terms(asker, bundle, wall_ns, until_ns, plan, running, money=money, own=own, overhead=overhead)

    def _running(self, route: ModelRoute) -> frozenset[str]:
        """The endpoints whose streams are metered while they run on this route."""
        dialect = self._backends[route.backend].dialect
        return frozenset(
            each for each in GENERATES if (each if each in dialect.speaks else "chat") in dialect.running_usage
        )

    # -- thresholds

    async def _know(self, terms: Terms) -> None:
        """Sees to it that the sums of buckets with thresholds are known, by holding next to nothing for a moment."""
        if not terms.counts_tokens or all(bucket.known or bucket is terms.closed for bucket, _ in terms.marks):
            return
        try:
            hold = await self.leasing.hold_or_wait(terms.bundle, LEAST)
        except Short:
            return  # used up: every threshold is crossed
        self.leasing.settle(hold, NOTHING)

    def _downgraded(self, record: Admitted, caller: Caller, call: Call, terms: Terms, codec: Codec) -> Terms:
        """The terms of the cheaper model that the highest crossed threshold names; the same where none does, or it is
        not cheaper.
        """
        if call.endpoint not in GENERATES:
            return terms
        record.decided_by(terms)
        model = downgraded_to(self._snap, terms.softer(), call.alias, terms.price)
        if not model:
            return terms
        found = self._terms(record, caller, call, model, self._plan(model), codec)
        record.acted(meters.DOWNGRADED + model)
        return found

    # -- holds

    async def _begin(self, record: Admitted, terms: Terms, call: Call, given: int, output_tokens: int) -> int:
        """Holds the input and a first step of output, or of that as little as can be; returns how much. Raises
        Short.
        """
        needs = terms.needs(given, output_tokens)
        while True:
            try:
                hold = await self.leasing.hold_or_wait(terms.bundle, needs)
            except Short:
                if output_tokens != FIRST_STEP:
                    raise
                output_tokens = 1
                needs = terms.needs(given, output_tokens)
            else:
                take(record, terms, hold, needs, call)  # from here on closing the record settles it
                return output_tokens

    async def _lengthen(self, record: Admitted, tokens: int) -> bool:
        """Holds so many more output tokens, if they are to be had. The record is not open yet."""
        assert record.hold is not None
        row = record.row
        nanos = max(0, record.terms.needs(row.held_input, row.held_output + tokens)[4] - row.held_nanos)
        try:
            if not await self.leasing.extend(record.hold, tokens, nanos):
                return False
        except MetersUnavailable:
            return False
        row.held_output += tokens
        row.held_nanos += nanos
        return True

    async def _clamp(self, record: Admitted, call: Call, wanted: int) -> Call:
        """Holds as much output as the budget buys, and bounds the call by it."""
        row, terms = record.row, record.terms
        await self._grow(record, wanted)
        money_is_short = all(each.remaining > 0 for each in terms.bundle.lengthening if each.quantity == OUTPUT)
        if row.held_output < wanted and terms.input_costs and money_is_short:
            counted = await self._tokenizers.count(row.id, call, terms.plan.routes[0])
            if counted is not None and counted < row.held_input:
                assert record.hold is not None
                self.leasing.leases.lower_input(record.hold, counted)
                row.held_input = counted  # what was held for more of it buys output
                await self._grow(record, wanted)
        if row.held_output >= wanted:
            return call
        each = row.held_output // bounds.answers(call)
        record.acted(f"clamped:{each}")
        return bounds.clamped(call, each)

    async def _grow(self, record: Admitted, wanted: int) -> None:
        """Holds more output, up to so much, as far as it is to be had."""
        row, terms = record.row, record.terms
        spare = row.held_nanos - terms.needs(row.held_input, row.held_output)[4]
        more = min(wanted - row.held_output, terms.affordable(spare))
        while more > 0 and not await self._lengthen(record, more):
            more = min(more // 2, terms.affordable(spare))

    async def _counted(self, record: Admitted, terms: Terms, call: Call, given: int, short: Short) -> int | None:
        """How much input a call really has that is short of something; None where nobody can say, or it would be for
        nothing.
        """
        bucket = short.bucket
        fewest = of(least(terms, call, given // bounds.DENSEST_BYTES), bucket.quantity)
        if bucket.quantity not in (INPUT, MONEY) or not terms.counts_tokens or fewest > bucket.cap - bucket.used:
            return None
        counted = await self._tokenizers.count(record.row.id, call, terms.plan.routes[0])
        return counted if counted is not None and counted < given else None


def _make_room(known: dict[Any, Any]) -> None:
    if len(known) >= MOST_TERMS:
        for key in list(itertools.islice(known, MOST_TERMS // 2)):
            del known[key]
