"""Traces in a terminal: a line for each, or the tree of one, in 100 columns. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from gateway.cli import admin_table
from gateway.cli.admin_table import Column, Item
from gateway.cli.terminal import visible

MOST_LINES: Final = 400
"""Spans drawn where nothing else is asked for."""
MOST_DEPTH: Final = 10
"""Levels that are drawn as such; what lies deeper says how deep."""
MOST_ALIKE: Final = 20
"""Children of one span, with one name, that are drawn."""

_NAME: Final = 54
_WIDTHS: Final = (9, 9, 13, 10)
"""When, how long, tokens, cost: with the name, 99 columns."""


def took(took_ms: float) -> str:
    """In at most 7 characters."""
    if took_ms < 999.5:
        return f"{took_ms:.0f} ms" if took_ms >= 9.95 or not took_ms else f"{took_ms:.1f} ms"
    if took_ms < 3_600_000:
        return f"{took_ms / 1_000:.2f} s" if took_ms < 99_995 else f"{took_ms / 1_000:,.0f} s"
    return f"{took_ms / 3_600_000:,.1f} h" if took_ms < 10**9 else f"{took_ms / 86_400_000:,.0f} d"


def _count(number: int) -> str:
    """In at most 5 characters below ten million."""
    return f"{number:,}" if number < 10_000 else f"{number / 1_000:.0f}k" if number < 10**7 else f"{number:.0e}"


def _several(number: int, noun: str) -> str:
    return f"{_count(number)} {noun}{'' if number == 1 else 's'}"


def _tokens(item: Mapping[str, Any]) -> str:
    given, made = item["input_tokens"], item["output_tokens"]
    return f"{_count(given or 0)}→{_count(made or 0)}" if given or made else ""


def _usd(nanos: int | None) -> str:
    """In at most 9 characters below ten million dollars."""
    if nanos is None:
        return ""
    usd = nanos / 10**9
    return f"${usd:.6f}" if usd < 9.9999995 else f"${usd:.4f}" if usd < 999.99995 else f"${usd:,.0f}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _text(name: str, most: int) -> admin_table.Cell:
    return lambda item: _cut(visible(str(item[name] or admin_table.NOTHING)), most)


COLUMNS: Final = (
    Column("UTC", lambda item: item["started"][11:16]),
    Column("trace", lambda item: item["trace"]),
    Column("tenant", _text("tenant", 8)),
    Column("name", _text("name", 12)),
    Column("spans", lambda item: f"{_count(item['agent_spans'])}+{_count(item['requests'])}"),
    Column("bad", lambda item: _count(item["errors"]) if item["errors"] else ""),
    Column("took", lambda item: took(item["took_ms"])),
    Column("cost", lambda item: _usd(item["charge_usd_nanos"] or None) or admin_table.NOTHING),
)
"""What a list shows; the id stays whole, as it is what one asks on with."""


def listed(items: Sequence[Item]) -> Iterator[str]:
    """A line for each, under the day on which it began."""
    return admin_table.by_day(items, COLUMNS)


def whole(item: Item, most: int = MOST_LINES) -> Iterator[str]:
    """The tree of one trace, `most` of its spans."""
    counts = [_several(len(item["spans"]), "span"), _several(item["requests"], "request"), took(item["took_ms"])]
    counts += [f"{item['errors']:,} failed"] if item["errors"] else []
    counts += [f"{tokens} tokens" for tokens in (_tokens(item),) if tokens]
    counts += [cost for cost in (_usd(item["cost_usd_nanos"]),) if cost]
    yield f"trace {item['trace']} of {_cut(visible(item['tenant']), 40)}"
    yield f"{item['started'][:19].replace('T', ' ')} UTC: {', '.join(counts)}"
    yield ""
    yield _row("", "at", "took", "tokens", "cost")
    kept, folded = _kept(item["spans"], most)
    for number, (span, more) in enumerate(kept):
        yield _line(span, _edge(kept, number), more)
    yield ""
    yield from _notes(item, len(kept), folded)


def _notes(item: Item, drawn: int, folded: int) -> Iterator[str]:
    """What the tree does not show by itself."""
    left = len(item["spans"]) - drawn - folded
    if left:
        yield f"{left:,} more spans are not drawn: --limit, or --json for all of them"
    if item["cut"]:
        yield "there are more than the 10,000 spans or requests of one trace that are read"
    if item["outside"]:
        yield f"~ {item['outside']:,} began before their parent or ended after it: clocks differ, or they went on alone"
    if item["lost_parents"]:
        yield f"? {item['lost_parents']:,} name a parent that is not here: it was not sent, or not yet"


Kept = tuple[Item, int]
"""A span that is drawn, and how many like it behind it are not."""


def _kept(spans: Sequence[Item], most: int) -> tuple[list[Kept], int]:
    """What is drawn, and how many are folded into one line: of many children with one name the first ones."""
    kept: list[Kept] = []
    alike: dict[tuple[str, str], int] = {}
    last: dict[tuple[str, str], int] = {}
    folded, within = 0, -1
    for span in spans:
        if 0 <= within < span["depth"]:
            folded += 1
            continue
        within = -1
        kind = (span["parent"], span["name"])
        alike[kind] = alike.get(kind, 0) + 1
        if alike[kind] > MOST_ALIKE and span["depth"] and not span["error"]:
            at = last.get(kind)
            if at is not None:
                kept[at] = (kept[at][0], kept[at][1] + 1)
            folded, within = folded + 1, span["depth"]
            continue
        if len(kept) >= most:
            break
        last[kind] = len(kept)
        kept.append((span, 0))
    return kept, folded


def _edge(kept: Sequence[Kept], number: int) -> str:
    """What stands before a name: the lines of the tree."""
    depth = kept[number][0]["depth"]
    if not depth:
        return ""
    if depth > MOST_DEPTH:
        return "   " * (MOST_DEPTH - 1) + f"(+{depth - MOST_DEPTH}) "
    parts = ["   "] * depth
    # A line goes down where a later span hangs on the same one.
    follows = dict.fromkeys(range(1, depth + 1), False)
    lowest = depth + 1
    for later, _ in kept[number + 1 : number + 1 + MOST_LINES]:
        level = later["depth"]
        if level < lowest:
            if level:
                follows[level] = True
            lowest = level
        if lowest <= 1:
            break
    for level in range(1, depth):
        parts[level - 1] = "│  " if follows[level] else "   "
    parts[depth - 1] = "├─ " if follows[depth] else "└─ "
    return "".join(parts)


def _line(span: Item, edge: str, more: int) -> str:
    mark = ("~" if span["outside"] else "") + ("?" if span["lost_parent"] else "")
    name = visible(span["name"])
    if span["source"] == "agent":
        name += "".join(f" {word}" for word in _words(span) if word not in name)
    if span["error"]:
        name = f"✗ {name}: {visible(span['error_type']) or 'failed'}"
    if span["source"] == "gateway":
        name = f"▸ {name}"
    behind = f" … {more:,} more" if more else ""
    name = _cut(f"{edge}{name}", _NAME - len(behind) - len(mark) - bool(mark)) + behind + (f" {mark}" if mark else "")
    return _row(name, took(span["at_ms"]), took(span["took_ms"]), _tokens(span), _usd(span["cost_usd_nanos"]))


def _words(span: Item) -> list[str]:
    """What an agent's span is about, where its name does not say it."""
    return [visible(span[field]) for field in ("agent", "tool", "model") if span[field]]


def _row(name: str, *cells: str) -> str:
    right = " ".join(f"{_cut(cell, width):>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True))
    return f"{name:<{_NAME}} {right}".rstrip()
