"""LiteLLM's prices (its price map, and the `…_cost_…` parameters of deployments) to ours. Pure.

Kept is what is per token of input, cached input, output and reasoning, and what is per request. All else is left out
and told: tiers of longer contexts and of priority, what is per image, second, character or page, writing to a cache.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, NamedTuple

from gateway.config.units_money import ATTO, MAX_TOKEN_PRICE, NANO, money_text, token_price_text
from gateway.errors import ConfigError

TOKENS: Final[Mapping[str, str]] = {
    "input_cost_per_token": "input",
    "cache_read_input_token_cost": "cached_input",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
}
"""LiteLLM's names of the prices that are kept, and ours."""
REQUEST: Final = "input_cost_per_request"
_EXAMPLE: Final = "sample_spec"
_MOST_REQUEST: Final = 1_000
"""Dollars; a price of a request above it is a mistake."""


class PriceMap(NamedTuple):
    """What became of a price map: our entries, why models were left out and how many for each reason, and which of
    their other prices have no counterpart here, each with how many of the kept models state it."""

    entries: dict[str, dict[str, str]]
    unpriced: Counter[str]
    left_out: Counter[str]


def translate(text: str) -> PriceMap:
    """LiteLLM's price map, as JSON. Raises ConfigError when it is not one."""
    try:
        found = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not a price map of litellm: not JSON ({type(error).__name__})") from None
    if not isinstance(found, dict) or not any(isinstance(each, dict) for each in found.values()):
        raise ConfigError("not a price map of litellm: expected a map of models, each with its costs")
    entries: dict[str, dict[str, str]] = {}
    unpriced: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for name, stated in found.items():
        if name == _EXAMPLE or not isinstance(stated, dict):
            continue
        try:
            entry = price(stated)
        except ValueError as error:
            unpriced[str(error)] += 1
            continue
        others = set(other_costs(stated))
        if not entry:
            unpriced[f"priced by {', '.join(sorted(others)[:2])} only" if others else "no price is stated"] += 1
            continue
        provider = stated.get("litellm_provider")
        entries[name] = {**({"provider": provider} if isinstance(provider, str) else {}), **entry}
        left_out.update(others)
    return PriceMap(entries, unpriced, left_out)


def price(stated: Mapping[str, Any], *, alone: bool = False) -> dict[str, str]:
    """Our prices in what a model of LiteLLM's states, as they are written; empty when it states none. Raises ValueError
    for one that is none. `alone` keeps the price of a part (cached input, reasoning) without that of its whole."""
    entry = {}
    for theirs, ours in TOKENS.items():
        dollars = _dollars(stated.get(theirs))
        if dollars is not None:
            atto = round(dollars * ATTO)  # half to even; what is lost is under 10⁻¹⁸ dollars a token
            if atto > MAX_TOKEN_PRICE:
                raise ValueError("a price above $1 a token")
            entry[ours] = token_price_text(atto)
    if not alone:
        entry = whole(entry)
    dollars = _dollars(stated.get(REQUEST))
    if dollars:
        if dollars > _MOST_REQUEST:
            raise ValueError(f"a price above ${_MOST_REQUEST} a request")
        entry["request"] = money_text(round(dollars * NANO))
    return entry


def whole(entry: Mapping[str, str]) -> dict[str, str]:
    """The prices without those of parts whose whole has none; where one of input and output has a price, the other's
    is 0, as with LiteLLM."""
    parts = {"cached_input": "input", "reasoning": "output"}
    kept = {name: price for name, price in entry.items() if name not in parts or parts[name] in entry}
    if "input" in kept or "output" in kept:
        kept = {"input": "$0/1M", "output": "$0/1M"} | kept
    return kept


def other_costs(stated: Mapping[str, Any]) -> Iterator[str]:
    """The names of the costs that have no counterpart here, unless they are 0."""
    for name, value in stated.items():
        if "cost" in name and name not in TOKENS and name != REQUEST and value not in (None, 0):
            yield name
    if stated.get("tiered_pricing"):
        yield "tiered_pricing"


def _dollars(value: object) -> Fraction | None:
    """An exact amount; None where nothing is stated. Raises ValueError for what is no amount."""
    if value is None:
        return None
    if isinstance(value, str):  # LiteLLM takes numbers in quotes
        try:
            value = Decimal(value)
        except ArithmeticError:
            raise ValueError("a price that is no number") from None
    if isinstance(value, float):  # from a YAML file: the shortest decimal that means it is what was written
        value = Decimal(repr(value))
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("a price that is no number")
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError("a price that is no number")
    if value < 0:
        raise ValueError("a negative price")
    if isinstance(value, Decimal) and value.adjusted() > 18:
        raise ValueError("a price above $1 a token")
    return Fraction(value)
