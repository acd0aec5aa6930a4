"""The running check of enforced counters against the records: what each worker told of its money leases must be, to
the nano-dollar, what the records up to the told place of its journal say.

Fed with the records as the ledger reads them. Whoever took over in the middle of a journal begins with what the lease
says then, and checks what comes after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from gateway.policy import authority
from gateway.policy.authority import BucketState
from gateway.store.journal_follow import BEGIN, Position
from gateway.store.layout import HEADER
from gateway.store.meters import MeterStore
from gateway.store.records import Record

AT_ONCE: Final = 500
"""Buckets read in one call of the store."""

MoneyKeys: TypeAlias = Callable[[Record], Sequence[str]]
"""The buckets of money that a record was charged to."""


class _Account:
    """What the records say of one lease."""

    __slots__ = ("known", "pending", "sum")

    def __init__(self, known: bool) -> None:
        self.known = known
        """Whether `sum` is complete."""
        self.sum = 0
        """Charged up to the place that was told last."""
        self.pending: list[tuple[tuple[int, int], int]] = []
        """Charged after it."""

    def told(self, place: tuple[int, int]) -> None:
        """The owner told its lease up to this place."""
        count = 0
        for position, nanos in self.pending:
            if position > place:
                break
            self.sum += nanos
            count += 1
        del self.pending[:count]


class _Journal:
    """One worker's leases."""

    __slots__ = ("accounts", "begun", "read_to")

    def __init__(self, begun: Position) -> None:
        self.begun = begun
        """Where reading it began."""
        self.read_to = begun
        self.accounts: dict[str, _Account] = {}


class Drift:
    """`nanos` is the sum of all differences that were found, 0 as long as everything is right; `checked` counts
    comparisons."""

    def __init__(self, keys: MoneyKeys) -> None:
        self.checked = 0
        self._keys = keys
        self._journals: dict[str, _Journal] = {}
        self._found: dict[tuple[str, str], int] = {}
        self._of_the_dead = 0
        self._asked: dict[str, bytes] = {}

    @property
    def nanos(self) -> int:
        return sum(map(abs, self._found.values())) + self._of_the_dead

    @property
    def wrong(self) -> Mapping[tuple[str, str], int]:
        """By journal and bucket: how much more was told than the records say, where that is not 0."""
        return self._found

    def seen(self, journal: str, begin: Position, end: Position, records: Iterable[tuple[int, Record]]) -> None:
        """The next records of a journal: all that stand between two places of one segment, each with the offset behind
        it."""
        state = self._journals.get(journal)
        if state is None:
            state = self._journals[journal] = _Journal(
                begin if begin.segment > 1 or begin.offset > HEADER.size else BEGIN
            )
        state.read_to = end
        accounts = state.accounts
        for offset, record in records:
            nanos = record.charge_nanos  # of a request that was let in: what `policy.meters.spent_of` says of money
            if nanos and record.usage_from:
                charged = ((end.segment, offset), nanos)
                for key in self._keys(record):
                    account = accounts.get(key)
                    if account is None:
                        account = accounts[key] = _Account(known=state.begun == BEGIN)
                    account.pending.append(charged)

    async def ask(self, store: MeterStore) -> None:
        """Asks the store what was told of all that is not compared yet: before the journals are read on, since what was
        told then stands in them. Raises MeterStoreDown."""
        self._asked.clear()
        keys = {key for state in self._journals.values() for key, account in state.accounts.items() if account.pending}
        wanted = list(keys)
        for first in range(0, len(wanted), AT_ONCE):
            self._asked.update(await store.read(wanted[first : first + AT_ONCE]))

    def compare(self, state_id: str) -> None:
        """Compares what the store said with what was read."""
        for key, raw in self._asked.items():
            try:
                bucket = authority.decode(raw)
            except msgspec.DecodeError:
                continue
            for journal, state in self._journals.items():
                self._compare(f"{state_id}:{journal}", journal, state, key, bucket)
        self._asked.clear()

    def over(self, journal: str) -> None:
        """The worker is gone, and its leases were settled."""
        self._journals.pop(journal, None)
        for found in [found for found in self._found if found[0] == journal]:
            self._of_the_dead += abs(self._found.pop(found))

    def _compare(self, owner: str, journal: str, state: _Journal, key: str, bucket: BucketState) -> None:
        account, lease = state.accounts.get(key), bucket.leases.get(owner)
        if account is None or lease is None:
            return
        place = (lease.segment, lease.offset)
        if not state.begun <= place <= state.read_to:  # of records that were not read, or not here
            return
        account.told(place)
        if not account.known:
            account.known, account.sum = True, lease.spent
        self.checked += 1
        difference = lease.spent - account.sum
        if difference:
            self._found[journal, key] = difference
        else:
            self._found.pop((journal, key), None)
