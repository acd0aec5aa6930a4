"""Buckets of meters as a person reads them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gateway.cli.terminal import visible
from gateway.policy.authority import BucketState

Row = dict[str, Any]
_GAP = "  "


def amount(quantity: str, value: int) -> str:
    """A whole number; of nano-dollars, dollars with as many digits as they need, two at least."""
    if quantity != "usd":
        return f"{value:,}"
    whole, rest = divmod(abs(value), 10**9)
    cents = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{'-' if value < 0 else ''}${whole:,}.{cents}"


def rows(states: Mapping[str, BucketState], now_s: int) -> list[Row]:
    """A row for each bucket, those with the least left, by share, first."""
    found = []
    for key, state in states.items():
        used, leased = state.used(now_s), state.leased()
        owners = sorted(owner for owner, lease in state.leases.items() if lease.unspent)
        found.append(_row(key, used, leased, state.cap, max(0, state.cap - used - leased)) | {"owners": owners})
    return _least_first(found)


def rows_of_answers(items: Iterable[Row]) -> list[Row]:
    """The same of what the administration answers, which does not know the owners."""
    return _least_first([_row(*(item[name] for name in ("bucket", "used", "leased", "cap", "left"))) for item in items])


def _row(bucket: str, used: int, leased: int, cap: int, left: int) -> Row:
    meter, quantity, window, instance = [*bucket.split("|"), "", "", ""][:4]
    told = {"bucket": bucket, "meter": meter, "quantity": quantity, "window": f"{window} {instance}".strip()}
    return told | {"used": used, "leased": leased, "cap": cap, "left": left}


def _least_first(found: list[Row]) -> list[Row]:
    return sorted(found, key=lambda row: (row["left"] / row["cap"] if row["cap"] else 0.0, row["bucket"]))


def table(found: Sequence[Row]) -> Iterator[str]:
    """Buckets, what of each is used, leased by workers and left."""
    lines = [("meter", "counts", "window", "used", "leased", "cap", "left", "owners")]
    for row in found:
        quantity = row["quantity"]
        numbers = (amount(quantity, row[name]) for name in ("used", "leased", "cap", "left"))
        lines.append(
            (
                row["meter"],
                quantity,
                row["window"] or "–",
                *numbers,
                str(len(row["owners"])) if "owners" in row else "–",
            )
        )
    yield from aligned(lines, left=3)


def owners_table(leases: Mapping[str, Mapping[str, int]], status: Mapping[str, str]) -> Iterator[str]:
    """Owners, whether they live, and what they may still spend, by quantity."""
    lines = [("owner", "is", "buckets", "may still spend")]
    for owner, by_bucket in sorted(leases.items()):
        sums: dict[str, int] = {}
        for key, unspent in by_bucket.items():
            quantity = key.split("|")[1] if "|" in key else ""
            sums[quantity] = sums.get(quantity, 0) + unspent
        told = ", ".join(
            amount(quantity, value) + (f" {quantity}" if quantity != "usd" else "")
            for quantity, value in sorted(sums.items())
            if value
        )
        lines.append((owner, status.get(owner, ""), f"{len(by_bucket):,}", told or "nothing"))
    yield from aligned(lines, left=2, last_left=True)


def aligned(lines: Iterable[Sequence[str]], left: int, *, last_left: bool = False) -> Iterator[str]:
    """Lines of equal columns under a rule: the first `left` to the left, the others to the right."""
    kept = [[visible(cell) for cell in cells] for cells in lines]
    widths = [max(map(len, cells)) for cells in zip(*kept, strict=True)]
    for number, cells in enumerate(kept):
        yield _GAP.join(
            cell.ljust(width) if at < left or (last_left and at == len(widths) - 1) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        if number == 0:
            yield _GAP.join("─" * width for width in widths)
