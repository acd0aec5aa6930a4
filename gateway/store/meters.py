"""What a store of meters offers: buckets by key, changed one at a time and for good. What they hold, and what becomes
of them, is in `policy.authority`; the stores only keep bytes.

A change is durable when `update` returns; until then it may have happened or not, which is why every report is told
as whole sums. Owners reach each other by `recall`, which may be lost: it only ever makes things faster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias, TypeVar

from gateway.policy.authority import Spends

T = TypeVar("T")

Change: TypeAlias = Callable[[str, bytes | None], tuple[bytes | None, T]]
"""(key, stored state or None) -> (new state or None for none, a result). May be called again before it is done, and
elsewhere than on the event loop: it must depend on nothing else."""
Recalled: TypeAlias = Callable[[Sequence[str]], None]
"""Called on the event loop with the keys of buckets of which another owner is short; with none when the store is there
again, so that it is asked how it is."""


class MeterStoreDown(Exception):
    """The store does not answer, or not in time: nothing can be granted. What was asked may still have happened."""


class Unreconciled(MeterStoreDown):
    """The store was restarted and may have lost something: it grants nothing until `reconcile`."""


class MeterStore(Protocol):
    """One owner's way to the store. Every method but `update`'s change runs on one event loop."""

    async def check(self) -> None:
        """At start: raises ConfigError when the store is not one that keeps what it was told, and says what to change;
        MeterStoreDown when it cannot be asked."""
        ...

    async def update(self, keys: Sequence[str], change: Change[T], *, restating: bool = False) -> dict[str, T]:
        """Changes each key's state, atomically for each key; durable when it returns. The results of `change`, by key.
        A state that stays as it was is not written. Raises MeterStoreDown. `restating`: grants nothing, and is let
        through by a store that is not reconciled."""
        ...

    async def read(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The stored states of those keys, where there are any. Raises MeterStoreDown."""
        ...

    async def scan(self, prefix: str = "") -> dict[str, bytes]:
        """The stored states of all keys that begin so. Raises MeterStoreDown."""
        ...

    async def recall(self, keys: Sequence[str]) -> None:
        """Asks the other owners to give back what they do not need of these buckets. Never raises."""
        ...

    def on_recall(self, callback: Recalled) -> None:
        """Who is to be called when another owner asks."""
        ...

    async def reconciled(self) -> bool:
        """Whether it grants: False from a restart until `reconcile`, and before the first one. Raises
        MeterStoreDown."""
        ...

    async def restate_done(self, position: tuple[int, int]) -> None:
        """Tells an unreconciled store that this owner has restated its buckets, as of that position of its journal."""
        ...

    async def restated(self) -> dict[str, tuple[int, int]]:
        """The owners that have restated since the store was restarted, and their positions."""
        ...

    async def reconcile(self, sums: Mapping[str, Mapping[str, Spends]], now_s: int) -> None:
        """Raises what the store knows to what the ledger says (`authority.raise_to`; key → owner or STATE_ID →
        spends; `now_s`: wall time); then it grants again. Raises MeterStoreDown."""
        ...

    async def close(self) -> None:
        """Lets go of connections and files."""
        ...
