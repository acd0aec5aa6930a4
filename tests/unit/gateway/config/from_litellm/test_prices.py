from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.config import price_map
from gateway.config.from_litellm import prices
from gateway.config.units_money import token_price
from gateway.errors import ConfigError

ROOT = Path(__file__).parents[5]
NAME = "model_prices_and_context_window_backup.json"
REAL = next(iter(sorted(ROOT.glob(f".venv-providers/lib/python3*/site-packages/litellm/{NAME}"))), None)


def test_prices_of_tokens_and_requests_are_kept_exactly() -> None:
    stated = {
        "input_cost_per_token": 1.5e-07,
        "cache_read_input_token_cost": 7.5e-08,
        "output_cost_per_token": "6e-07",
        "output_cost_per_reasoning_token": 0,
        "input_cost_per_request": 0.005,
        "litellm_provider": "openai",
        "mode": "chat",
    }
    found = prices.translate(json.dumps({"gpt": stated}))
    assert found.entries == {
        "gpt": {
            "provider": "openai", "input": "$0.15/1M", "cached_input": "$0.075/1M", "output": "$0.6/1M",
            "reasoning": "$0/1M", "request": "$0.005",
        }
    }  # fmt: skip
    assert prices.price(stated) == {key: value for key, value in found.entries["gpt"].items() if key != "provider"}


def test_what_is_left_out_is_counted() -> None:
    text = json.dumps(
        {
            "sample_spec": {"input_cost_per_token": 0},
            "chat": {"input_cost_per_token": 1e-6, "input_cost_per_token_priority": 2e-6, "search_cost": 0},
            "image": {"output_cost_per_image": 0.04},
            "tiers": {"tiered_pricing": [{"input_cost_per_token": 1e-6}]},
            "nothing": {"mode": "chat"},
            "negative": {"input_cost_per_token": -1},
            "words": {"input_cost_per_token": "cheap"},
            "odd": {"input_cost_per_token": [1]},
            "dear": {"input_cost_per_token": 2},
            "huge": {"input_cost_per_token": 1e300},
            "requests": {"input_cost_per_request": 5000},
        }
    )
    found = prices.translate(text)
    assert list(found.entries) == ["chat"]
    assert found.left_out == {"input_cost_per_token_priority": 1}
    assert found.unpriced == {
        "priced by output_cost_per_image only": 1, "priced by tiered_pricing only": 1, "no price is stated": 1,
        "a negative price": 1, "a price that is no number": 2, "a price above $1 a token": 2,
        "a price above $1000 a request": 1,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "[]", "{", "5", '{"a": 5}', '{"a": NaN', "[" * 100_000])
def test_what_is_no_price_map_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="not a price map of litellm"):
        prices.translate(text)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_a_price_that_is_not_finite_is_none(word: str) -> None:
    found = prices.translate(f'{{"a": {{"input_cost_per_token": {word}}}, "b": {{"input_cost_per_token": "{word}"}}}}')
    assert not found.entries
    assert found.unpriced.total() == 2


def test_a_digit_lost_by_arithmetic_in_floats_is_rounded() -> None:
    assert prices.price({"input_cost_per_token": 3.9999999999999996e-06})["input"] == "$4/1M"


@pytest.mark.skipif(REAL is None, reason="litellm's price map absent: make setup-providers")
def test_litellms_own_price_map_is_carried() -> None:
    assert REAL is not None
    stated = json.loads(REAL.read_text())
    found = prices.translate(REAL.read_text())
    assert len(found.entries) > 2_000
    mini = found.entries["gpt-4o-mini"]
    assert token_price(mini["output"]) == round(stated["gpt-4o-mini"]["output_cost_per_token"] * 10**18)
    read_back = json.loads(price_map.text("x", found.entries))["prices"]
    for name, entry in read_back.items():
        for part, written in entry.items():
            if part not in ("provider", "request"):
                theirs = next(key for key, ours in prices.TOKENS.items() if ours == part)
                dollars = float(stated[name].get(theirs, 0))  # embeddings state nothing of an output
                assert token_price(written) == pytest.approx(dollars * 1e18, rel=1e-12), name
