"""What a configuration would have done with a trace of requests: charges, refusals, downgrades, clamps and cuts. Pure.

Time is that of the trace. Prices, windows, buckets and the rules of admission are those that run: a worst case that is
a small share of what remains is held whole, else a stream begins with a step and is lengthened as it runs, and what is
not metered as it runs is clamped. There is one worker, so nobody is refused for what another has in its pocket.

A trace does not say how long its requests ran, nor how large their bodies were: `Assumptions` do.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from gateway.config.model import Fake, Vllm
from gateway.config.snapshot import ModelRoute, Snapshot
from gateway.config.snapshot_callers import Caller
from gateway.config.snapshot_meters import FREE, MONEY, OUTPUT, REQUESTS, Meter, Price, Threshold
from gateway.policy import spend
from gateway.policy.account import Account
from gateway.policy.meters import Asker, key_of, meters_of, until_ns
from gateway.policy.overhead import TEMPLATE_TOKENS
from gateway.policy.terms import FIRST_STEP, SHARE, downgraded_to, frees_itself, softer
from gateway.policy.trace import Assumptions, Counts, Request
from gateway.wire.usage import Usage

SECOND: Final = 1_000_000_000
MOST_KNOWN: Final = 20_000


class Terms(Struct, frozen=True):
    """What a request is admitted under: the model that serves it, its price, and its buckets."""

    route: ModelRoute | None
    """None for a model that runs in the gateway."""
    price: Price
    accounts: Sequence[tuple[str, Account]]
    """With their keys."""


class Running:
    """A request that was let in, and what it holds."""

    __slots__ = ("bound", "counts", "input", "nanos", "output", "request", "target", "terms")

    def __init__(self, request: Request, terms: Terms, counts: Counts, bound: int) -> None:
        self.request = request
        self.terms = terms
        self.counts = counts
        self.bound = bound
        """Of its output."""
        self.target = min(request.output_tokens, bound)
        """What it would put out."""
        self.input = self.output = self.nanos = 0
        """What is held."""


class Simulation:
    """Takes requests in the order of time. `refused_by` and `warned` count by bucket, `refused_why` counts the other
    refusals by their reason."""

    def __init__(self, snapshot: Snapshot, assumptions: Assumptions) -> None:
        self._snap = snapshot
        self._assume = assumptions
        self._accounts: dict[str, Account] = {}
        self._known: dict[Asker, tuple[int, Terms]] = {}
        """Terms, and until when they hold."""
        self._callers: dict[tuple[str, str], Caller] = {}
        for caller in snapshot.keys.values():
            self._callers.setdefault((caller.tenant.name, ""), caller)
            self._callers[caller.tenant.name, caller.key] = caller
        self._events: list[tuple[int, int, Running]] = []
        self._sequence = 0
        self.refused_by: Counter[str] = Counter()
        self.refused_why: Counter[str] = Counter()
        self.warned: Counter[str] = Counter()
        self.ran_most = 0
        """Requests that ran at once, at most."""

    def take(self, request: Request, counts: Counts) -> None:
        """Decides over one request and adds what becomes of it to `counts`, when it ends at the latest."""
        self.advance(request.at_ns)
        counts.requests += 1
        why = self._admit(request, counts)
        if why:
            counts.refused_other += 1
            self.refused_why[why] += 1

    def advance(self, until_ns: int) -> None:
        """Lets the requests that run come to that moment."""
        while self._events and self._events[0][0] <= until_ns:
            now_ns, _, running = heapq.heappop(self._events)
            self._go_on(running, now_ns)

    def finish(self) -> None:
        """Lets all requests end."""
        self.advance(2**80)

    # -- admission

    def _admit(self, request: Request, counts: Counts) -> str:
        """Lets a request in, or counts its refusal by a meter; returns why another refusal was made, else nothing."""
        caller = self._callers.get((request.tenant, request.key))
        if caller is None:
            return f"unknown tenant or key: {request.tenant}{'/' if request.key else ''}{request.key}"
        project = request.project or (caller.projects[0] if len(caller.projects) == 1 else "")
        if project and project not in caller.projects:
            return f"project_not_allowed: {project}"
        if not caller.allows(request.model):
            return f"model_not_found: {request.model}"
        found = self._terms(request, caller, project, request.model)
        if isinstance(found, str):
            return found
        counts.asked_nanos += found.price.call or spend.charge(found.price, _usage(request, request.output_tokens))
        now_s = request.at_ns // SECOND
        terms = self._downgraded(request, caller, project, found, now_s)
        bound = 0 if terms.route is None else terms.route.max_output
        if bound and request.max_tokens is not None:
            bound = request.max_tokens
        running = Running(request, terms, counts, bound)
        if not self._hold(running, now_s, clamp=any(each.action == "clamp" for each in _softer(terms, now_s))):
            return ""
        counts.downgraded += terms is not found
        for key, account in terms.accounts:
            if account.meter.quantity == REQUESTS:
                self._spend(key, account, 1, now_s)
        self._schedule(running, request.at_ns)
        return ""

    def _terms(self, request: Request, caller: Caller, project: str, model: str) -> Terms | str:
        """The terms of a model, or why there are none."""
        route = self._snap.models.get(model)
        classic = self._snap.classic.get(model)
        if route is None and classic is None:
            return f"model_not_found: {model}"
        price = route.price if route is not None else classic.price if classic is not None else None
        if price is None and self._snap.money:
            return f"model_not_priced: {model}"
        asker = Asker(request.tenant, caller.key, project, model, request.end_user, request.conversation)
        known = self._known.get(asker)
        if known is None or request.at_ns >= known[0]:
            meters = meters_of(self._snap, caller, project, model)
            keys = [(key_of(each, asker, request.at_ns), each) for each in meters]
            terms = Terms(route, price or FREE, [(key, self._account(key, each)) for key, each in keys])
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            known = self._known[asker] = until_ns(meters, request.at_ns), terms
        return known[1]

    def _account(self, key: str, meter: Meter) -> Account:
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = Account(meter)
        return account

    def _downgraded(self, request: Request, caller: Caller, project: str, terms: Terms, now_s: int) -> Terms:
        """The terms of the cheaper model that the highest crossed threshold names; the same where none does."""
        model = downgraded_to(self._snap, _softer(terms, now_s), request.model, terms.price)
        other = self._terms(request, caller, project, model) if model else terms
        return other if isinstance(other, Terms) else terms

    def _hold(self, running: Running, now_s: int, *, clamp: bool) -> bool:
        """Holds the worst case, or as much as is to be had; counts the refusal and returns False where that is too
        little."""
        terms, bound = running.terms, running.bound
        for key, account in terms.accounts:
            if not account.meter.cap:  # it lets no call through
                return self._refuse(running.counts, key, account)
        given = 0
        if terms.route is not None:
            told = running.request.held_input
            given = told or TEMPLATE_TOKENS + int(running.request.input_tokens * self._assume.bytes_per_token)
        whole = _needs(terms.price, given, bound)
        if not bound or (not clamp and _is_small(terms, whole, now_s)):
            short = self._take(running, given, bound, whole[4], now_s)
            if short is None:
                return True
            if not bound:
                return self._refuse(running.counts, *short)
        streams = self._assume.streams if running.request.streams is None else running.request.streams
        streams = streams and not clamp and self._counts_as_it_runs(terms.route)
        first = min(bound, FIRST_STEP) if streams else 1
        short = self._take(running, given, first, _needs(terms.price, given, first)[4], now_s)
        if short is not None and first > 1:
            short = self._take(running, given, 1, _needs(terms.price, given, 1)[4], now_s)
        if short is not None:
            return self._refuse(running.counts, *short)
        if not streams:
            self._clamp(running, now_s)
        return True

    def _counts_as_it_runs(self, route: ModelRoute | None) -> bool:
        return route is not None and isinstance(self._snap.backends.get(route.backend), Vllm | Fake)

    def _clamp(self, running: Running, now_s: int) -> None:
        """Holds as much output as the budget buys; the answer is bounded by it."""
        price = running.terms.price
        dear = max(price.output, price.reasoning)
        more = running.bound - running.output
        for _, account in running.terms.accounts:
            if account.meter.quantity == OUTPUT:
                more = min(more, account.remaining(now_s))
            elif dear and account.meter.quantity == MONEY:
                more = min(more, account.remaining(now_s) * SECOND // dear)
        if more > 0:
            self._take(running, 0, more, _output_nanos(price, more), now_s)
        if running.output < running.bound:
            running.counts.clamped += 1
            if running.target > running.output:
                running.counts.shortened += 1
                running.target = running.output
            running.bound = running.output

    def _take(self, running: Running, given: int, output: int, nanos: int, now_s: int) -> tuple[str, Account] | None:
        """Adds to what a request holds, of all buckets or of none; returns the first that is short."""
        first = not running.input
        needs = (int(first), given, output, int(first), nanos)
        accounts = running.terms.accounts
        for key, account in accounts:
            if needs[account.meter.quantity] > account.remaining(now_s):
                return key, account
        for _, account in accounts:
            if account.meter.quantity != REQUESTS:  # those are spent at once
                account.held += needs[account.meter.quantity]
        running.input += given
        running.output += output
        running.nanos += nanos
        return None

    def _refuse(self, counts: Counts, key: str, account: Account) -> bool:
        self.refused_by[key] += 1
        if frees_itself(account.meter):
            counts.refused_rate += 1
        else:
            counts.refused_budget += 1
        return False

    # -- while it runs

    def _schedule(self, running: Running, now_ns: int) -> None:
        """When the request needs more, or ends."""
        tokens = min(running.output, running.target)
        lasts_s = self._assume.first_token_s + tokens / self._assume.tokens_per_s
        if running.request.lasts_s:
            lasts_s = running.request.lasts_s * tokens / (running.request.output_tokens or 1)
        self._sequence += 1
        at_ns = max(now_ns, running.request.at_ns + int(lasts_s * SECOND))
        heapq.heappush(self._events, (at_ns, self._sequence, running))
        self.ran_most = max(self.ran_most, len(self._events))

    def _go_on(self, running: Running, now_ns: int) -> None:
        now_s = now_ns // SECOND
        if running.output < running.target:
            step = min(FIRST_STEP, running.bound - running.output)
            if self._take(running, 0, step, _output_nanos(running.terms.price, step), now_s) is None:
                self._schedule(running, now_ns)
                return
            running.counts.cut += 1
            running.target = running.output
        self._settle(running, now_s)

    def _settle(self, running: Running, now_s: int) -> None:
        request, price, counts = running.request, running.terms.price, running.counts
        given = request.input_tokens if running.terms.route is not None else 0
        charge = price.call or spend.charge(price, _usage(request, running.target))
        used = (0, given, running.target, 0, charge)
        held = (0, running.input, running.output, 1, running.nanos)
        for key, account in running.terms.accounts:
            quantity = account.meter.quantity
            if quantity != REQUESTS:
                account.held -= held[quantity]
                if used[quantity]:
                    self._spend(key, account, min(used[quantity], held[quantity]), now_s)
        counts.served += 1
        counts.input_tokens += given
        counts.output_tokens += running.target
        counts.cost_nanos += charge

    def _spend(self, key: str, account: Account, amount: int, now_s: int) -> None:
        if account.spend(key, amount, now_s):
            self.warned[key] += 1


def _usage(request: Request, output_tokens: int) -> Usage:
    cached = min(request.cached_tokens, request.input_tokens)
    return Usage(request.input_tokens - cached, cached, output_tokens, 0)


def _needs(price: Price, input_tokens: int, output_tokens: int) -> tuple[int, int, int, int, int]:
    nanos = spend.bound(price, input_tokens, output_tokens) + price.call
    return (1, input_tokens, output_tokens, 1, nanos)


def _output_nanos(price: Price, tokens: int) -> int:
    return spend.bound(price, 0, tokens) - price.request


def _is_small(terms: Terms, needs: tuple[int, int, int, int, int], now_s: int) -> bool:
    """Whether what is needed is a small share of what remains of output tokens and of money."""
    return all(
        needs[account.meter.quantity] * SHARE <= account.remaining(now_s)
        for _, account in terms.accounts
        if account.meter.quantity in (OUTPUT, MONEY)
    )


def _softer(terms: Terms, now_s: int) -> list[Threshold]:
    """The thresholds that are crossed, the lowest share first, warnings aside."""
    return softer([(account.meter, account.used(now_s)) for _, account in terms.accounts if account.meter.at])
