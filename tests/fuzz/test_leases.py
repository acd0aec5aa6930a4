"""Leases against a ledger that does one thing at a time: owners that come, crash and are settled, replies that are
lost, reports that arrive twice, recalls, time that passes, caps that change, a store that loses what it had.

At every instant: what was spent in the window and what requests hold is never more than the authority knows of, and
that is never more than the cap (of a cap that was lowered: never more than it was before). In the end, when nothing
is held, nothing is leased, and the authority's sum is the ledger's to the last unit.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.config.snapshot_meters import MONEY, REQUESTS, Meter
from gateway.policy import authority, reports
from gateway.policy.authority import Reply, Report
from gateway.policy.leases import ALARM, SECOND_NS, Bucket, Bundle, Hold, Leases
from tests.support.meters import SerialLedger, meter, needs, rolling

START_S = 1_800_000_000
WINDOW_S = 10
KEYS = ("money", "requests")


@dataclass
class Owner:
    """One worker: its leases, what it wrote into its journal, and what is on its way to the authority."""

    name: str
    leases: Leases
    journal: list[tuple[str, int, int]] = field(default_factory=list)
    """(key, slot, amount), in order; a position is how many there are."""
    open: list[tuple[Hold, int]] = field(default_factory=list)
    """Requests that run, with the nano-dollars they hold."""
    sent: dict[str, Report] = field(default_factory=dict)
    bundle: Bundle | None = None


class Machine(RuleBasedStateMachine):
    """See the module."""

    @initialize(money=st.integers(100, 2_000), requests=st.integers(10, 200), owners=st.integers(1, 3))
    def begin(self, money: int, requests: int, owners: int) -> None:
        self.now_s = START_S
        self.waited_s = 0.0
        self.meters: dict[str, Meter] = {
            "money": meter(MONEY, money),
            "requests": meter(REQUESTS, requests, rolling(WINDOW_S)),
        }
        self.stored: dict[str, bytes] = {}
        self.backups: list[dict[str, bytes]] = [{}]
        self.truth = {"money": SerialLedger(money), "requests": SerialLedger(requests, WINDOW_S)}
        self.before = dict.fromkeys(KEYS, 0)
        self.count = 0
        self.owners = [self.born() for _ in range(owners)]
        self.dead: list[Owner] = []
        self.settled: list[Owner] = []
        for n in range(owners):
            self.ask(n, 90, 9)

    # -- requests

    @rule(n=st.integers(0, 3), sizes=st.lists(st.integers(0, 40), min_size=1, max_size=6), used=st.integers(0, 60))
    def serve(self, n: int, sizes: list[int], used: int) -> None:
        """Some requests begin, and as many less one that run end."""
        for nanos in sizes:
            self.hold(n, nanos)
        for which, _ in enumerate(sizes[1:]):
            self.settle(n, which, used)

    @rule(n=st.integers(0, 3), nanos=st.integers(0, 40))
    def hold(self, n: int, nanos: int) -> None:
        owner = self.owner(n)
        assert owner.bundle is not None
        held = owner.leases.hold(owner.bundle, needs(requests=1, nanos=nanos))
        if isinstance(held, Hold):
            self.truth["money"].held += nanos
            self.truth["requests"].settle(0, 1, self.now_s)
            owner.open.append((held, nanos))
            owner.journal.append(("requests", self.now_s, 1))

    @rule(n=st.integers(0, 3), more=st.integers(0, 40))
    def extend(self, n: int, more: int) -> None:
        owner = self.owner(n)
        if owner.open and owner.leases.extend(owner.open[0][0], 0, more):
            hold, nanos = owner.open[0]
            owner.open[0] = (hold, nanos + more)
            self.truth["money"].held += more

    @rule(n=st.integers(0, 3), which=st.integers(0, 9), used=st.integers(0, 60))
    def settle(self, n: int, which: int, used: int) -> None:
        owner = self.owner(n)
        if owner.open:
            hold, nanos = owner.open.pop(which % len(owner.open))
            spent = min(used, nanos)
            owner.leases.settle(hold, needs(requests=1, nanos=used))
            owner.leases.settle(hold, needs(requests=1, nanos=used))
            owner.journal.append(("money", 0, spent))
            self.truth["money"].settle(nanos, spent, self.now_s)

    # -- the authority

    @rule(n=st.integers(0, 3), money=st.integers(0, 90), requests=st.integers(0, 9))
    def ask(self, n: int, money: int, requests: int) -> None:
        """An exchange in which nothing goes wrong."""
        for key, least in (("money", money), ("requests", requests)):
            self.report(n, key, least, 0)
            self.arrive(n, key, 1, False)

    @rule(n=st.integers(0, 3), key=st.sampled_from(KEYS), least=st.integers(0, 30), more=st.integers(0, 90))
    def report(self, n: int, key: str, least: int, more: int) -> None:
        owner = self.owner(n)
        if key not in owner.sent:
            bucket = self.bucket(owner, key)
            owner.sent[key] = reports.build(owner.leases, bucket, (1, len(owner.journal)), self.waited_s, least, more)

    @rule(n=st.integers(0, 3), key=st.sampled_from(KEYS), times=st.integers(0, 3), lost=st.booleans())
    def arrive(self, n: int, key: str, times: int, lost: bool) -> None:
        """The report arrives so often, at last with a reply, or without."""
        owner = self.owner(n)
        report = owner.sent.pop(key, None)
        if report is None:
            return
        replies = [self.exchange(owner, report) for _ in range(times)]
        bucket = self.bucket(owner, key)
        if lost or not replies:
            reports.unheard(owner.leases, bucket)
        else:
            reports.learn(owner.leases, bucket, report, replies[-1], self.waited_s)

    @rule(n=st.integers(0, 3), key=st.sampled_from(KEYS))
    def recall(self, n: int, key: str) -> None:
        owner = self.owner(n)
        owner.leases.give_back(self.bucket(owner, key))

    # -- the world

    @rule(seconds=st.sampled_from([1, 1, 2, 5, WINDOW_S, WINDOW_S + 1, 400]))
    def time_passes(self, seconds: int) -> None:
        self.waited_s += seconds
        self.turn(self.now_s + seconds)
        for owner in self.owners:
            reports.look_after(owner.leases, self.waited_s)

    @rule(key=st.sampled_from(KEYS), cap=st.integers(0, 2_000))
    def reload(self, key: str, cap: int) -> None:
        """Every worker gets the new cap; what is on its way has the old one."""
        for owner in self.owners:
            for sent in list(owner.sent):
                self.arrive(self.owners.index(owner), sent, 1, False)
        self.before[key] = self.known(key)
        old = self.meters[key]
        self.meters[key] = meter(old.quantity, cap, old.window)
        self.truth[key].cap = cap
        for owner in self.owners:
            self.bucket(owner, key)

    @rule(n=st.integers(0, 3))
    def crash(self, n: int) -> None:
        owner = self.owner(n)
        self.owners.remove(owner)
        self.dead.append(owner)
        self.owners.append(self.born())

    @precondition(lambda self: self.dead)
    @rule(again=st.booleans())
    def keep(self, again: bool) -> None:
        """The keeper has read a dead owner's journal: a request that crashed is charged what it held."""
        owner = self.dead.pop(0)
        for _, nanos in owner.open:
            owner.journal.append(("money", 0, nanos))
            self.truth["money"].settle(nanos, nanos, self.now_s)
        owner.open.clear()
        self.settled.append(owner)
        for _ in range(1 + again):
            self.settle_dead(owner)

    @rule(which=st.integers(0, 50), meanwhile=st.integers(0, 3))
    def lose(self, which: int, meanwhile: int) -> None:
        """The store is what it was some time ago: live owners tell their leases again, and go on with what they have;
        the keeper tells what the ledger says, which has read on; only then it grants again."""
        for owner in self.owners:
            owner.sent.clear()
            for bucket in owner.leases.buckets.values():
                reports.unheard(owner.leases, bucket)
        while self.dead:
            self.keep(False)
        self.stored = dict(self.backups[which % len(self.backups)])
        restated = {owner.name: (1, len(owner.journal)) for owner in self.owners}
        for owner in self.owners:
            for bucket in list(owner.leases.buckets.values()):
                if bucket.known:
                    report = reports.build(owner.leases, bucket, restated[owner.name], self.waited_s)
                    report.want, report.restates = 0, True
                    reports.learn(owner.leases, bucket, report, self.exchange(owner, report), self.waited_s)
        for n, _ in enumerate(self.owners):
            for _ in range(meanwhile):
                self.settle(n, 0, 7)
                self.hold(n, 5)
        for owner in self.settled:
            self.settle_dead(owner)
        for key in KEYS:
            state = authority.decode(self.stored.get(key))
            state.window_s, state.slot_s = (WINDOW_S, 1) if key == "requests" else (0, 0)
            dead = [(slot, n) for owner in self.settled for at, slot, n in owner.journal if at == key]
            authority.raise_to(state, "s", dead, self.now_s)
            for owner in self.owners:
                live = [(slot, n) for at, slot, n in owner.journal if at == key]
                authority.raise_to(state, owner.name, live, self.now_s, restated[owner.name])
            self.stored[key] = authority.encode(state)
            self.before[key] = self.known(key)  # it may know again of a lease that was given back
        self.backups = [dict(self.stored)]

    # -- what must hold

    @invariant()
    def never_overshoots(self) -> None:
        if not hasattr(self, "owners"):
            return
        for key in KEYS:
            known, cap = self.known(key), self.meters[key].cap
            assert self.truth[key].used(self.now_s) <= known, key
            assert known <= max(cap, self.before[key]), key
            self.before[key] = known

    def teardown(self) -> None:
        if not hasattr(self, "owners"):
            return
        for owner in self.owners:
            while owner.open:
                self.settle(self.owners.index(owner), 0, 7)
            for key in list(owner.sent):
                self.arrive(self.owners.index(owner), key, 1, False)
            for key in KEYS:
                bucket = self.bucket(owner, key)
                for _ in range(2):  # what it learns of in the first exchange goes back in the second
                    owner.leases.give_back(bucket)
                    report = reports.build(owner.leases, bucket, (1, len(owner.journal)), self.waited_s)
                    reports.learn(owner.leases, bucket, report, self.exchange(owner, report), self.waited_s)
        while self.dead:
            self.keep(False)
        for key in KEYS:
            state = authority.decode(self.stored.get(key))
            assert state.leased() == 0
            assert state.settled == sum(amount for _, amount in self.truth[key].spent)
            spent: dict[str, int] = defaultdict(int)
            for owner in (*self.owners, *self.settled):
                live = owner.name if owner in self.owners else "s"
                spent[live] += sum(amount for at, _, amount in owner.journal if at == key)
            assert {name: n for name, n in authority.sums(state).items() if n} == {k: n for k, n in spent.items() if n}

    # -- how

    def owner(self, n: int) -> Owner:
        return self.owners[n % len(self.owners)]

    def born(self) -> Owner:
        self.count += 1
        owner = Owner(f"s:{self.count}", Leases())
        owner.leases.turn(self.now_s * SECOND_NS)
        owner.bundle = owner.leases.bundle([self.bucket(owner, key) for key in KEYS])
        return owner

    def bucket(self, owner: Owner, key: str) -> Bucket:
        return owner.leases.bucket(self.meters[key], key)

    def turn(self, now_s: int) -> None:
        self.now_s = now_s
        for owner in self.owners:
            owner.leases.turn(now_s * SECOND_NS)

    def exchange(self, owner: Owner, report: Report) -> Reply:
        state = authority.decode(self.stored.get(report.key))
        reply = authority.exchange(state, owner.name, report, self.now_s)
        self.stored[report.key] = authority.encode(state)
        self.backups = [*self.backups[-50:], dict(self.stored)]
        return reply

    def settle_dead(self, owner: Owner) -> None:
        for key in KEYS:
            state = authority.decode(self.stored.get(key))
            lease = state.leases.get(owner.name)
            after = owner.journal[lease.offset if lease else 0 :]
            authority.settle_dead(state, owner.name, [(slot, n) for at, slot, n in after if at == key], self.now_s)
            self.stored[key] = authority.encode(state)

    def known(self, key: str) -> int:
        """What the authority counts against the cap."""
        state = authority.decode(self.stored.get(key))
        return state.used(self.now_s) + state.leased()


assert ALARM > 2**64
TestLeases = Machine.TestCase
TestLeases.settings = settings(parent=settings.default, stateful_step_count=40)
