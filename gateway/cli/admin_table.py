"""What the administration answers, as a person reads it. It knows the time, and nothing else of the world."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from gateway.cli.meters_table import aligned
from gateway.cli.terminal import visible

Item = dict[str, Any]
Cell = Callable[[Item], str]

NOTHING: Final = "–"
MOST_CHARS: Final = 100
"""As wide as a table may be, if cutting what can be cut is enough."""
_LEAST_CHARS: Final = 16
"""What is left of a cell that is cut."""


class Column(NamedTuple):
    """A head and what stands under it. `cut`: in a table that is too wide it is cut; names and numbers never are."""

    head: str
    cell: Cell
    cut: bool = False


def table(items: Sequence[Item], columns: Sequence[Column]) -> Iterator[str]:
    """A line for each item under the heads of the columns."""
    rows = [[column.head for column in columns], *([column.cell(item) for column in columns] for item in items)]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    most = _fitting(widths, [at for at, column in enumerate(columns) if column.cut])
    yield from aligned(
        [[_cut(cell, width) for cell, width in zip(row, most, strict=True)] for row in rows], len(columns)
    )


def by_day(items: Sequence[Item], columns: Sequence[Column]) -> Iterator[str]:
    """The same, under the day on which each `started`; nothing for none."""
    if not items:
        return
    head, rule, *lines = table(items, columns)
    yield from (head, rule)
    day = ""
    for line, item in zip(lines, items, strict=True):
        if item["started"][:10] != day:
            day = item["started"][:10]
            yield day
        yield line
    yield ""


def _fitting(widths: Sequence[int], cut: Sequence[int]) -> list[int]:
    """How wide each column may be: the widest of those that can be cut give way first."""
    found = list(widths)
    while sum(found) + 2 * (len(found) - 1) > MOST_CHARS:
        widest = max(cut, key=found.__getitem__, default=None)
        if widest is None or found[widest] <= _LEAST_CHARS:
            break
        found[widest] -= 1
    return found


def _cut(cell: str, most: int) -> str:
    return cell if len(cell) <= most else cell[: most - 1] + "…"


def fields(item: Item, columns: Sequence[Column]) -> Iterator[str]:
    """One item, a line for each column that says something of it."""
    told = [(column.head, cell) for column in columns if (cell := column.cell(item))]
    width = max(len(head) for head, _ in told)
    for head, cell in told:
        yield f"  {head:<{width}}  {visible(cell)}"


def text(name: str) -> Cell:
    """A field as it is."""
    return lambda item: NOTHING if item.get(name) in (None, "") else str(item[name])


def words(name: str, empty: str = NOTHING) -> Cell:
    """A list of names."""
    return lambda item: ", ".join(map(str, item.get(name) or ())) or empty


def moment(name: str) -> Cell:
    """A time, to the second; nothing at all where there is none."""
    return lambda item: str(item.get(name) or "")[:19].replace("T", " ").removesuffix("Z")


def made(item: Item) -> str:
    """When an entry of the store was made, and by whom."""
    return f"{moment('created_at')(item)} by {item['created_by']}" if item.get("created_at") else ""


def changed(item: Item) -> str:
    """When an entry of the store was last changed, if it ever was."""
    return moment("changed_at")(item) if (item.get("version") or 0) > 1 else ""


def meters(item: Item) -> str:
    """`$50 a month (80%: warn); 600 requests in 60s`."""
    return "; ".join(map(_meter, item.get("meters") or ())) or NOTHING


def source(item: Item) -> str:
    """Where an entry stands: `gateway.yaml:9`, or the store with its version."""
    return str(item["place"]) if item.get("source") == "files" else f"store, version {item['version']}"


def state(item: Item) -> str:
    """Whether a secret is valid, and until when."""
    from gateway.config import units

    if item.get("gone_at"):
        return f"revoked {moment('gone_at')(item)}"
    expires = item.get("expires")
    if not expires:
        return "no end"
    return f"{'ended' if units.instant(expires) <= time.time() else 'until'} {expires}"


def roles(item: Item) -> str:
    """`owner`, `admin of acme`."""
    return ", ".join(
        grant["role"] + (f" of {grant['tenant']}" if grant.get("tenant") else "") for grant in item["roles"]
    )


STORED: Final = (Column("made (UTC)", made), Column("changed (UTC)", changed))
"""What of an entry of the store is shown where one is shown."""


def closing(items: Sequence[Item], noun: str, where: str, *, more: bool) -> str:
    """What stands under a list: `2 keys in state/demo`."""
    count = f"{len(items):,} {noun}{'' if len(items) == 1 else 's'} in {where}"
    return f"{count}; there are more: narrow it down, or --limit" if more else count


def _meter(meter: Item) -> str:
    window = meter.get("window")
    told = str(meter["cap"])
    if window in ("day", "week", "month"):
        told += f" a {window}" + (f" ({meter['zone']})" if meter.get("zone") else "")
    elif window:
        told += " in all" if window == "lifetime" else f" in {window}"
    if meter.get("per"):
        told += f" for each {str(meter['per']).replace('_', ' ')}"
    actions = [f"{share}: {_action(action)}" for share, action in (meter.get("at") or {}).items()]
    return told + (f" ({', '.join(actions)})" if actions else "")


def _action(action: Any) -> str:
    return f"downgrade to {action['downgrade']}" if isinstance(action, dict) else str(action)
