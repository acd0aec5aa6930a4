"""LiteLLM's limits and budgets to our meters. Pure.

rpm_limit, rpm                     N requests in 60s
tpm_limit, tpm                     N input_tokens and N output_tokens in 60s (LiteLLM counts their sum)
max_parallel_requests              N concurrent
max_budget, budget_duration        $N in a window: 1d is day, 7d is week, 30d is month, none is lifetime
soft_budget                        warn at that share of max_budget
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, NamedTuple, TypeAlias

from gateway.config.from_litellm.report import Report, items, members, says_nothing
from gateway.config.nodes import Node
from gateway.config.shape import Path
from gateway.config.units_money import MAX_COUNT, MAX_MONEY, MAX_ROLLING_S, NANO, cap_text, window_text

MINUTE: Final = "60s"
_RATES: Final[Mapping[str, tuple[str, ...]]] = {
    "rpm": ("requests",),
    "rpm_limit": ("requests",),
    "tpm": ("input_tokens", "output_tokens"),
    "tpm_limit": ("input_tokens", "output_tokens"),
    "itpm": ("input_tokens",),
    "otpm": ("output_tokens",),
    "max_parallel_requests": ("concurrent",),
}
_BUDGET: Final = ("max_budget", "budget_duration", "soft_budget")
_PER_KEY: Final = {"default_api_key_rpm_limit": "rpm", "default_api_key_tpm_limit": "tpm"}
NAMES: Final = frozenset((*_RATES, *_BUDGET, *_PER_KEY, "budget_limits", "litellm_budget_table"))
"""The settings that are carried."""

_DURATION: Final = re.compile(r"(\d{1,9})(s|m|h|d|w|mo)", re.ASCII)
_CALENDAR: Final = {
    "24h": "day",
    "1d": "day",
    "7d": "week",
    "1w": "week",
    "30d": "month",
    "31d": "month",
    "1mo": "month",
}
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


class Slot(NamedTuple):
    """What a cap is on. `window` is as `units_money.window` keeps it, empty for concurrency; `per` may be empty."""

    quantity: str
    window: str
    per: str = ""


class Limit(NamedTuple):
    """How much (nano-dollars of money), and from which share of it on to warn, in thousandths, 0 for never."""

    amount: int
    warn: int = 0


Caps: TypeAlias = dict[Slot, Limit]


def read(entry: Mapping[str, Node], path: Path, report: Report) -> Caps:
    """The caps that an entry of LiteLLM states; what of them cannot be carried is told as lost."""
    caps: Caps = {}
    table = entry.get("litellm_budget_table")
    if table is not None and not says_nothing(table):
        where = (*path, "litellm_budget_table")
        _put(caps, read(members(table, where, report), where, report))
    for name, quantities in _RATES.items():
        amount = _count(entry.get(name), (*path, name), report)
        if amount is not None:
            window = "" if quantities == ("concurrent",) else MINUTE
            _put(caps, {Slot(quantity, window): Limit(amount) for quantity in quantities})
            if len(quantities) > 1:
                message = "tokens were counted in sum: here input and output have a cap of this size each"
                report.note(entry[name], (*path, name), message)
    for name, as_name in _PER_KEY.items():
        amount = _count(entry.get(name), (*path, name), report)
        if amount is not None:
            _put(caps, {Slot(quantity, MINUTE, "key"): Limit(amount) for quantity in _RATES[as_name]})
    _put(caps, _budget(entry, path, report))
    limits = entry.get("budget_limits")
    if limits is not None and not says_nothing(limits):
        for here, item in items(limits, (*path, "budget_limits"), report):
            _put(caps, _budget(members(item, here, report), here, report))
    return caps


def budget(amount: Node, duration: Node | None, path: Path, report: Report, per: str = "") -> Caps:
    """The cap of one budget; `path` is that of its amount."""
    nanos = _nanos(amount, path, report)
    if nanos is None:
        return {}
    window = _window(duration, path, report)
    return {} if window is None else {Slot("usd", window, per): Limit(nanos)}


def rendered(caps: Caps) -> list[dict[str, Any]]:
    """The meters as they are to be written."""
    written = []
    for slot, limit in caps.items():
        meter: dict[str, Any] = {"cap": cap_text(f"{limit.amount} {slot.quantity}")}
        if slot.window:
            meter["window"] = window_text(slot.window)
        if slot.per:
            meter["per"] = slot.per
        if limit.warn:
            meter["at"] = {f"{limit.warn / 10:g}%": "warn"}
        written.append(meter)
    return written


def summed(of_each: Iterable[Caps]) -> tuple[Caps, set[Slot]]:
    """The caps of deployments that are now one: what they allow together, and the slots that one of them does not
    limit, so that all of them together have no limit there."""
    found = list(of_each)
    slots = {slot: None for caps in found for slot in caps}
    everywhere = [slot for slot in slots if all(slot in caps for caps in found)]
    total = {slot: Limit(min(sum(caps[slot].amount for caps in found), _most(slot))) for slot in everywhere}
    return total, set(slots) - set(everywhere)


def _most(slot: Slot) -> int:
    return MAX_MONEY if slot.quantity == "usd" else MAX_COUNT


def _put(caps: Caps, more: Caps) -> None:
    """Adds caps; of two on the same the smaller holds."""
    for slot, limit in more.items():
        caps[slot] = min(limit, caps.get(slot, limit), key=lambda each: each.amount)


def _budget(entry: Mapping[str, Node], path: Path, report: Report) -> Caps:
    amount, soft = entry.get("max_budget"), entry.get("soft_budget")
    soft = None if soft is None or soft.value is None else soft
    if amount is None or amount.value is None:
        if soft is not None:
            report.lost(soft, (*path, "soft_budget"), "a warning needs a max_budget, of which it is a share")
        return {}
    caps = budget(amount, entry.get("budget_duration"), (*path, "max_budget"), report)
    if soft is None or not caps:
        return caps
    [(slot, limit)] = caps.items()
    nanos = _nanos(soft, (*path, "soft_budget"), report)
    if nanos is None:
        return caps
    share = 1000 * nanos // limit.amount if limit.amount else 0
    if not 0 < share < 1000:
        report.lost(soft, (*path, "soft_budget"), "not below max_budget, or next to nothing: no warning is given")
        return caps
    return {slot: Limit(limit.amount, share)}


def _window(duration: Node | None, path: Path, report: Report) -> str | None:
    """The window of a budget; None where there is none of its length."""
    if duration is None or duration.value in (None, ""):
        return "lifetime"
    text = str(duration.value)
    found = _DURATION.fullmatch(text)
    if text in _CALENDAR:
        report.note(duration, path, f"{text} became the calendar's {_CALENDAR[text]}, in UTC")
        return _CALENDAR[text]
    if found is not None and found[2] in _SECONDS:
        seconds = int(found[1]) * _SECONDS[found[2]]
        if 1 <= seconds <= MAX_ROLLING_S:
            return f"{seconds}s"
    report.lost(duration, path, "a budget is for 1s to 720h, a day, a week, a month or ever: there is no other window")
    return None


def _count(node: Node | None, path: Path, report: Report) -> int | None:
    amount = _number(node, path, report)
    if node is None or amount is None:
        return None
    if amount > MAX_COUNT:
        report.lost(node, path, "so high that it never applies")
        return None
    return int(amount)


def _nanos(node: Node, path: Path, report: Report) -> int | None:
    amount = _number(node, path, report)
    if amount is None:
        return None
    nanos = round(amount * NANO)
    if nanos > MAX_MONEY:
        report.lost(node, path, "so high that it never applies")
        return None
    return nanos


def _number(node: Node | None, path: Path, report: Report) -> Fraction | None:
    """An exact number that is not negative; a loss and None for anything else."""
    if node is None or node.value is None:
        return None
    value = node.value
    if not isinstance(value, bool | dict | list):
        try:
            number = Decimal(repr(value) if isinstance(value, float) else str(value))
            if number.is_finite() and number >= 0 and number.adjusted() < 30:
                return Fraction(number)
        except ArithmeticError:
            pass
    report.lost(node, path, "expected a number that is not negative")
    return None
