"""What the administration answers, as a person reads it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gateway.cli.meters_table import aligned

Item = dict[str, Any]
Column = tuple[str, Callable[[Item], str]]

NOTHING = "–"


def table(items: Sequence[Item], columns: Sequence[Column]) -> Iterator[str]:
    """A line for each item under the heads of the columns."""
    rows = [[head for head, _ in columns], *([cell(item) for _, cell in columns] for item in items)]
    yield from aligned(rows, left=len(columns))


def fields(item: Item, columns: Sequence[Column]) -> Iterator[str]:
    """One item, a line for each column."""
    width = max(len(head) for head, _ in columns)
    for head, cell in columns:
        yield f"  {head:<{width}}  {cell(item)}"


def text(name: str) -> Callable[[Item], str]:
    """A field as it is."""
    return lambda item: NOTHING if item.get(name) in (None, "") else str(item[name])


def words(name: str, empty: str = NOTHING) -> Callable[[Item], str]:
    """A list of names."""
    return lambda item: ", ".join(map(str, item.get(name) or ())) or empty


def moment(name: str) -> Callable[[Item], str]:
    """A time, to the second."""

    def cell(item: Item) -> str:
        written = item.get(name)
        return NOTHING if not written else str(written)[:19].replace("T", " ").removesuffix("Z")

    return cell


def meters(item: Item) -> str:
    """`$50 a month (80%: warn); 600 requests in 60s`."""
    return "; ".join(map(_meter, item.get("meters") or ())) or NOTHING


def source(item: Item) -> str:
    """Where an entry stands: `gateway.yaml:9`, or the store with its version."""
    return str(item["place"]) if item.get("source") == "files" else f"store, version {item['version']}"


def state(item: Item) -> str:
    """Of a key: whether it is valid, and until when."""
    if item.get("gone_at"):
        return f"revoked {moment('gone_at')(item)}"
    return f"until {item['expires']}" if item.get("expires") else "no end"


def roles(item: Item) -> str:
    """`owner`, `admin of acme`."""
    return ", ".join(
        grant["role"] + (f" of {grant['tenant']}" if grant.get("tenant") else "") for grant in item["roles"]
    )


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
