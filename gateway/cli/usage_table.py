"""Usage as a table in a terminal: what is asked for most at the top, numbers one under the other, sums below. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final

from gateway.cli.terminal import visible

Value = str | int | Decimal

_HEADS: Final = {
    "requests": "requests",
    "refused": "refused",
    "input_tokens": "input tokens",
    "cached_input_tokens": "cached input",
    "output_tokens": "output tokens",
    "reasoning_tokens": "reasoning",
    "cost_usd": "cost",
    "estimated_usd": "of it estimated",
    "waste_tokens": "wasted tokens",
    "waste_usd": "waste",
    **{name: name for name in ("served", "downgraded", "clamped", "shortened", "cut")},
    "asked_usd": "cost as asked",
}
_ALWAYS: Final = frozenset(("requests", "input_tokens", "output_tokens", "cost_usd"))
"""Shown also when they are 0 throughout."""

_LONGEST: Final = 40
"""Characters of a name; more are cut in the middle."""
_GAP: Final = "  "


def table(columns: Sequence[str], rows: Sequence[Sequence[Value]], limit: int | None = None) -> Iterator[str]:
    """The lines of a table of an `Answer`; of more than `limit` rows the first ones. The last line sums up all."""
    totals = [_sum(row[at] for row in rows) for at in range(len(columns))]
    names = [at for at, column in enumerate(columns) if column not in _HEADS]
    shown = names + [at for at, column in enumerate(columns) if column in _ALWAYS or (column in _HEADS and totals[at])]
    shown.sort()
    kept = rows if limit is None else rows[:limit]
    digits = {at: _digits([row[at] for row in rows]) for at in shown if columns[at].endswith("_usd")}
    lines = [[_HEADS.get(columns[at], columns[at].replace("_", " ")) for at in shown]]
    lines += [[_cell(row[at], digits.get(at, 0)) for at in shown] for row in kept]
    total = [
        ("total" if at == names[0] else "") if at in names else _cell(totals[at], digits.get(at, 0)) for at in shown
    ]
    if names:
        lines.append(total)
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    rule = _GAP.join("─" * width for width in widths)
    for number, cells in enumerate(lines):
        if names and number == len(lines) - 1:
            if len(rows) > len(kept):
                yield f"… {len(rows) - len(kept):,} more, in the total"
            yield rule
        yield _GAP.join(
            cell.ljust(width) if at in names else cell.rjust(width)
            for at, cell, width in zip(shown, cells, widths, strict=True)
        ).rstrip()
        if number == 0:
            yield rule


def _sum(values: Iterable[Value]) -> int | Decimal:
    total: int | Decimal = 0
    for value in values:
        if not isinstance(value, str):
            total += value
    return total


def _cell(value: Value, digits: int) -> str:
    if isinstance(value, Decimal):
        return f"${value:,.{digits}f}" if value >= 0 else f"-${-value:,.{digits}f}"
    if isinstance(value, int):
        return f"{value:,}" if value else "·"
    value = visible(value)
    if len(value) > _LONGEST:
        return value[: _LONGEST // 2] + "…" + value[1 - _LONGEST // 2 :]
    return value or "–"


def _digits(values: Sequence[Value]) -> int:
    """Digits behind the point: cents, or as many as the smallest amount needs to show two figures, at most 9."""
    least = min((abs(value) for value in values if isinstance(value, Decimal) and value), default=Decimal(1))
    return min(9, max(2, 1 - least.adjusted()))
