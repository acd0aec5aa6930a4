from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import units_money
from gateway.config.units_money import ATTO, MAX_MONEY, MAX_TOKEN_PRICE, NANO


@pytest.mark.parametrize(
    ("written", "nanos"),
    [("$500", 500 * NANO), ("$0.00002", 20_000), ("$0", 0), ("$0.000000001", 1), ("$ 1.50", 1_500_000_000),
     ("$1000000000", MAX_MONEY)],
)  # fmt: skip
def test_money_is_whole_nano_dollars(written: str, nanos: int) -> None:
    assert units_money.money(written) == nanos


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("-$5", "not negative"), ("$-5", "not negative"), (-5, "not negative"),
        ("€5", "only US dollars"), ("5 EUR", "only US dollars"), ("GBP 5", "only US dollars"),
        ("$0.0000000001", "whole number of nano-dollars"),
        ("$1000000001", "at most $1000000000"), ("$99999999999999999", "at most $1000000000"),
        ("$1,000", "without separators"), ("$1_000", "without separators"),
        (5, "with its $ sign"), (float("nan"), "with its $ sign"), ("$NaN", "an amount of money"),
        ("$inf", "an amount of money"), ("$1e3", "an amount of money"), ("500", "an amount of money"),
        (None, "an amount of money"), (True, "an amount of money"), ("$", "an amount of money"),
        ("$５", "an amount of money"), ("$5\n", "an amount of money"),
    ],
)  # fmt: skip
def test_what_is_no_money_is_told(written: object, told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("$", r"\$")):
        units_money.money(written)


@pytest.mark.parametrize(
    ("written", "atto"),
    [("$0.05/1M", 50_000_000_000), ("$2/1K", 2 * 10**15), ("$0.0000001/token", 10**11), ("$0/1M", 0),
     ("$1/token", MAX_TOKEN_PRICE), ("$0.4 / 1M", 4 * 10**11), ("$0.000000000001/1M", 1)],
)  # fmt: skip
def test_a_tokens_price_is_whole_atto_dollars(written: str, atto: int) -> None:
    assert units_money.token_price(written) == atto


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("$0.05", r"for how many tokens: \$0.05/1M"), ("-$1/1M", "not negative"), ("$-1/1M", "not negative"),
        ("€1/1M", "only US dollars"), (0.05, "with its"), (float("inf"), "with its"), ("$nan/1M", "a price of tokens"),
        ("$0.0000000000001/1M", "whole number of atto-dollars"), ("$1.01/token", r"at most \$1 a token"),
        ("$1001/1K", r"at most \$1 a token"), ("$1/2M", "a price of tokens"), ("$1/1B", "a price of tokens"),
    ],
)  # fmt: skip
def test_what_is_no_price_is_told(written: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        units_money.token_price(written)


@given(st.integers(0, MAX_MONEY))
def test_money_as_it_is_shown_is_money_as_it_is_read(nanos: int) -> None:
    assert units_money.money(units_money.money_text(nanos)) == nanos


@given(st.integers(0, MAX_TOKEN_PRICE))
def test_a_price_as_it_is_shown_is_a_price_as_it_is_read(atto: int) -> None:
    assert units_money.token_price(units_money.token_price_text(atto)) == atto


@given(st.integers(0, 10**7), st.integers(0, 12), st.sampled_from(("1M", "1K", "token")))
def test_a_price_is_exact(digits: int, decimals: int, per: str) -> None:
    text = f"{digits:0{decimals + 1}d}"
    text = text[: len(text) - decimals] + ("." + text[len(text) - decimals :] if decimals else "")
    exact = Fraction(digits, 10**decimals) * ATTO / {"1M": 10**6, "1K": 10**3, "token": 1}[per]
    try:
        assert units_money.token_price(f"${text}/{per}") == exact
    except ValueError:
        assert exact > MAX_TOKEN_PRICE or exact.denominator != 1


@pytest.mark.parametrize(
    ("written", "kept", "shown"),
    [
        ("$500", "500000000000 usd", "$500"), ("2M output_tokens", "2000000 output_tokens", "2M output_tokens"),
        ("1.5K input_tokens", "1500 input_tokens", "1500 input_tokens"),
        ("600 requests", "600 requests", "600 requests"),
        ("40 concurrent", "40 concurrent", "40 concurrent"), ("0 requests", "0 requests", "0 requests"),
        ("$0", "0 usd", "$0"), ("2B input_tokens", "2000000000 input_tokens", "2B input_tokens"),
    ],
)  # fmt: skip
def test_a_cap_is_an_amount_and_a_quantity(written: str, kept: str, shown: str) -> None:
    assert units_money.cap(written) == kept
    assert units_money.cap_text(kept) == shown
    assert units_money.cap(shown) == kept


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("600", "a cap of what"), (600, "expected a cap such as"), ("600 request", "did you mean requests?"),
        ("2M tokens", "did you mean .*_tokens?"), ("2M output tokens", "did you mean output_tokens?"),
        ("-5 requests", "not negative"), ("-$5", "not negative"), ("€5", "only US dollars"),
        ("5 usd", "an amount of money"),
        ("1.5 requests", "whole number of requests"), ("9999999999B requests", "at most"),
        ("nan requests", "expected a cap"),
        ("5 frobs", "known: requests, input_tokens"), (float("nan"), "expected a cap"), (None, "expected a cap"),
        ("1M", "a cap of what"), ("", "expected a cap"),
    ],
)  # fmt: skip
def test_what_is_no_cap_is_told(written: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        units_money.cap(written)


@pytest.mark.parametrize(
    ("written", "kept", "shown"),
    [("60s", "60s", "1m"), ("5m", "300s", "5m"), ("1h", "3600s", "1h"), ("720h", "2592000s", "720h"),
     ("90s", "90s", "90s"),
     ("day", "day", "day"), ("month", "month", "month"), ("lifetime", "lifetime", "lifetime")],
)  # fmt: skip
def test_a_window_is_rolling_or_of_the_calendar(written: str, kept: str, shown: str) -> None:
    assert units_money.window(written) == kept
    assert units_money.window_text(kept) == shown
    assert units_money.window(shown) == kept


@pytest.mark.parametrize(
    ("written", "told"),
    [("0s", "from 1s to 720h"), ("721h", "from 1s to 720h"), ("7d", "24h, 168h"), ("30 days", "24h, 168h"),
     ("monthly", "did you mean month?"), ("weekly", "did you mean week?"), (60, "expected a rolling window"),
     ("-5s", "expected a rolling window"), ("1.5h", "expected a rolling window"), (None, "expected a rolling window")],
)  # fmt: skip
def test_what_is_no_window_is_told(written: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        units_money.window(written)


def test_a_zone_is_one_of_the_zone_database() -> None:
    assert [units_money.zone(name) for name in ("Europe/Berlin", "UTC")] == ["Europe/Berlin", "UTC"]


@pytest.mark.parametrize(
    ("written", "told"),
    [("europe/berlin", "did you mean Europe/Berlin?"), ("Berlin", "did you mean Europe/Berlin?"),
     ("Europe/Berln", "did you mean Europe/Berlin?"), ("+02:00", "by its name"), ("UTC+2", "by its name"),
     ("../../etc/passwd", "there is no time zone"), ("localtime", "there is no time zone"), (2, "by its name")],
)  # fmt: skip
def test_what_is_no_zone_is_told(written: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        units_money.zone(written)


def test_a_share_of_a_cap_has_a_decimal() -> None:
    assert [units_money.permille(text) for text in ("80%", "99.5 %", "100%", "0.1%")] == ["800", "995", "1000", "1"]


@pytest.mark.parametrize("written", ["0%", "101%", "80", 80, 0.8, "80.25%", "-1%", "nan%", None])
def test_what_is_no_share_of_a_cap_is_told(written: object) -> None:
    with pytest.raises(ValueError, match="share of the cap"):
        units_money.permille(written)
