"""Is the log what was written, and are the entries what it says? One change after the other; pure."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.config.entries import Entry
from gateway.policy.changes import START, ChainBroken, Change, Head, follow
from gateway.store.control.base import Broken, Verified, told
from gateway.store.control.deciding import became


def verified(
    changes: Iterable[Change], entries: Iterable[Entry], head: Head, known: Iterable[Head]
) -> Verified | Broken:
    """`changes`: all, in their order; `entries`: all, gone ones too, read at the same moment; `head`: what the store
    says is its last change; `known`: heads noted before, elsewhere."""
    noted = _by_number([*known, START])
    expected: dict[tuple[str, str, str], Entry] = {}
    end = START
    try:
        for change in changes:
            end = follow(end, change)
            if end.seq in noted and noted.pop(end.seq) != {end.hash}:
                raise ChainBroken(
                    end.seq,
                    f"change {end.seq} is not the one whose head was noted: the log was rewritten, or the head is that "
                    "of another store",
                )
            of = (change.kind, change.tenant, change.name)
            expected[of] = became(expected.get(of), change)
        _demand_end(end, head, noted)
        _demand_entries(expected, entries, end)
    except ChainBroken as broken:
        return Broken(broken.seq, broken.what)
    return Verified(end)


def _by_number(known: Iterable[Head]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for head in known:
        found.setdefault(head.seq, set()).add(head.hash)
    found.pop(START.seq)
    return found


def _demand_end(end: Head, head: Head, left: Iterable[int]) -> None:
    last = max([head.seq, *left])
    if last > end.seq:
        raise ChainBroken(
            end.seq + 1,
            f"the log ends with change {end.seq}, but there was a change {last}: its end was cut off, or an older copy "
            "of the store was restored",
        )
    if head != end:
        raise ChainBroken(end.seq, f"the log ends with change {end.seq}, which is not the last one the store wrote")


def _demand_entries(expected: dict[tuple[str, str, str], Entry], entries: Iterable[Entry], end: Head) -> None:
    for entry in entries:
        wanted = expected.pop((entry.kind, entry.tenant, entry.name), None)
        if wanted is None:
            raise ChainBroken(end.seq, f"the {told(entry.id)} is in the store, and no change made it")
        if wanted != entry:
            raise ChainBroken(wanted.seq, f"the {told(entry.id)} is not what change {wanted.seq} made of it")
    for missing in expected.values():
        raise ChainBroken(missing.seq, f"the {told(missing.id)}, of change {missing.seq}, is missing from the store")
