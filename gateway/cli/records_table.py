"""Records in a terminal: a line for each, or one of them whole, in 100 columns. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from gateway.cli import admin_table
from gateway.cli.admin_table import Column, Item
from gateway.cli.terminal import visible

_QUIET: Final = frozenset(("started", "started_ns", "attempts", "readings", "trace"))
"""Shown otherwise, or said by another."""
_MOST: Final = admin_table.MOST_CHARS


def _cost(item: Item) -> str:
    nanos = item["charge_usd_nanos"]
    return admin_table.NOTHING if nanos is None else f"${nanos / 10**9:.6f}"


def _who(item: Item) -> str:
    return f"{item['tenant']}/{item['key']}" if item["tenant"] else admin_table.NOTHING


def _ended(item: Item) -> str:
    return f"{item['status']} {item['code']}" if item["status"] else str(item["code"])


def _took(item: Item) -> str:
    return f"{item['total_ms']:,.0f} ms" if item["total_ms"] < 1_000 else f"{item['total_ms'] / 1_000:,.1f} s"


def _tokens(item: Item) -> str:
    given = (item["input_tokens"] or 0) + (item["cached_input_tokens"] or 0)
    made = (item["output_tokens"] or 0) + (item["reasoning_tokens"] or 0)
    return admin_table.NOTHING if item["input_tokens"] is None else f"{given:,}→{made:,}"


def _short(cell: admin_table.Cell, most: int) -> admin_table.Cell:
    def cut(item: Item) -> str:
        found = cell(item)
        return found if len(found) <= most else found[: most - 1] + "…"

    return cut


COLUMNS: Final = (
    Column("UTC", lambda item: item["started"][11:19]),
    Column("id", _short(admin_table.text("id"), 34)),
    Column("who", _short(_who, 13)),
    Column("model", _short(admin_table.text("model"), 10)),
    Column("ended", _short(_ended, 7)),
    Column("took", _short(_took, 7)),
    Column("cost", _short(_cost, 9)),
)
"""What a list shows, in 100 columns; the id stays whole, as it is what one asks on with."""


def listed(items: Sequence[Item]) -> Iterator[str]:
    """A line for each, under the day on which it began."""
    return admin_table.by_day(items, COLUMNS)


def whole(item: Item) -> Iterator[str]:
    """Everything that is known of one request."""
    yield f"{item['id']}: {_ended(item)}, {item['outcome']}, {_took(item)}, {_tokens(item)} tokens, {_cost(item)}"
    told = {"started": item["started"]} | {
        name: value
        for name, value in item.items()
        if name not in _QUIET and name != "id" and value not in (None, "", 0, False)
    }
    width = max(map(len, told))
    for name, value in told.items():
        yield from _folded(f"  {name:<{width}}  ", "yes" if value is True else str(value))
    for number, attempt in enumerate(item["attempts"], 1):
        yield from _folded(f"  attempt {number}  ", _attempt(attempt))
    for reading in item["readings"]:
        yield from _folded("  meter  ", f"{reading['meter']}: {reading['used']:,} used before, of {reading['cap']:,}")


def _attempt(attempt: Item) -> str:
    words = [f"{attempt['backend']} {attempt['endpoint']}", f"{attempt['reason']}, {attempt['choice']}"]
    words.append(f"{attempt['status'] or 'no status'} {attempt['code']}")
    words.append(f"sent at {attempt['sent_ms']:g} ms, answered at {attempt['first_byte_ms']:g}")
    words.append(f"over at {attempt['ended_ms']:g} ms")
    if attempt["loads"]:
        words.append(f"loads {' '.join(map(str, attempt['loads']))}")
    if attempt["followed_by"]:
        words.append(f"then {attempt['followed_by']}")
    return "; ".join(words)


def _folded(head: str, text: str) -> Iterator[str]:
    indent = " " * len(head)
    yield from textwrap.wrap(visible(text), _MOST, initial_indent=head, subsequent_indent=indent) or [head.rstrip()]
