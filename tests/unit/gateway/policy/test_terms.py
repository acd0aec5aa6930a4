from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.model_meters import MeterEntry
from gateway.config.snapshot import ModelRoute
from gateway.config.snapshot_meters import FREE, Price, meter
from gateway.policy.leases import Bucket, Bundle
from gateway.policy.meters import Asker
from gateway.policy.resolve import Plan
from gateway.policy.spend import charge
from gateway.policy.terms import Terms, frees_itself, too_large
from gateway.wire.usage import MAX_TOKENS, Usage

ATTO = 10**9
ASKER = Asker("acme", "app", "", "m", "", "")
CHEAP = Price(input=1 * ATTO, cached_input=0, output=2 * ATTO, reasoning=3 * ATTO, request=7)
DEAR = Price(input=10 * ATTO, cached_input=20 * ATTO, output=1 * ATTO, reasoning=1 * ATTO)


def route(name: str, price: Price | None, **more: int) -> ModelRoute:
    return ModelRoute(name, "b", name, b"", price=price, **more)  # type: ignore[arg-type]


def bucket(cap: str, slack: int = 0, available: int = 0, **entry: object) -> Bucket:
    made = Bucket(meter("tenant", MeterEntry(cap=cap, window="day", **entry)), cap)  # type: ignore[arg-type]
    made.slack, made.available = slack, available
    return made


def terms(*routes: ModelRoute, buckets: tuple[Bucket, ...] = (), money: bool = True) -> Terms:
    plan = Plan("m", routes, "direct")
    return Terms(ASKER, Bundle(buckets), 0, 1, plan, frozenset(), money=money)


def test_needs_are_those_of_the_dearest_class_of_the_model_itself() -> None:
    made = terms(route("m", CHEAP, max_output=5), route("n", DEAR, max_output=9))
    assert made.needs(100, 10) == (1, 100, 10, 1, 100 * 1 + 10 * 3 + 7)
    assert (made.price, made.max_output) == (CHEAP, 5)


def test_without_money_nothing_costs() -> None:
    made = terms(route("m", None), money=False)
    assert made.needs(100, 10) == (1, 100, 10, 1, 0)
    assert made.price is FREE
    assert not made.counts_tokens


@pytest.mark.parametrize(
    ("cap", "counts"), [("9 requests", False), ("9 input_tokens", True), ("9 output_tokens", True)]
)
def test_tokens_are_counted_where_a_meter_does(cap: str, counts: bool) -> None:
    assert terms(route("m", None), buckets=(bucket(cap),), money=False).counts_tokens is counts


prices = st.builds(Price, *[st.integers(0, 10**15)] * 4, st.integers(0, 10**9))
tokens = st.integers(0, 10**6)


@given(prices, tokens, tokens, tokens, tokens)
def test_what_is_held_covers_the_charge(price: Price, fresh: int, cached: int, said: int, thought: int) -> None:
    held = terms(route("m", price)).needs(fresh + cached, said + thought)[4]
    assert held >= charge(price, Usage(fresh, cached, said, thought))


fine = st.builds(Price, *[st.sampled_from((0, 1, 7, 2 * 10**8, 5 * 10**8, 3 * 10**9, 10**15))] * 4, st.integers(0, 9))


@given(fine | prices, tokens, tokens, tokens, tokens)
def test_the_charge_is_that_of_the_price_to_the_last_nano_dollar(
    price: Price, fresh: int, cached: int, said: int, thought: int
) -> None:
    made = terms(route("m", price))
    assert made.charge(fresh, cached, said, thought) == charge(price, Usage(fresh, cached, said, thought))


def test_what_remains_buys_so_many_tokens() -> None:
    price = Price(output=2 * ATTO)
    money, output = bucket("1000 usd", slack=100, available=101), bucket("1000 output_tokens", slack=50, available=25)
    assert terms(route("m", price), buckets=(money,)).affordable() == 100
    assert terms(route("m", price), buckets=(money, output)).affordable() == 75
    assert terms(route("m", FREE), buckets=(money,)).affordable() == MAX_TOKENS
    assert terms(route("m", price), buckets=(money,)).affordable(spare_nanos=20) == 110


def test_a_need_is_small_when_it_is_a_sixteenth_of_what_remains_of_output_and_money() -> None:
    made = terms(route("m", Price(output=ATTO)), buckets=(bucket("1 requests"), bucket("1 usd", available=1600)))
    assert made.is_small(made.needs(0, 100))
    assert not made.is_small(made.needs(0, 101))


def test_marks_are_the_first_threshold_of_each_bucket_that_does_more_than_warn() -> None:
    warns = bucket("100 usd", at={500: "warn"})
    clamps = bucket("200 usd", at={100: "warn", 900: "clamp", 950: "clamp"})
    assert terms(route("m", FREE), buckets=(warns, clamps)).marks == ((clamps, 180),)


def test_what_never_fits_and_what_frees_itself() -> None:
    small = bucket("5 output_tokens")
    assert too_large(small, (1, 0, 6, 1, 0))
    assert not too_large(small, (1, 9, 5, 1, 9))
    windows = {"day": False, "lifetime": False, "60s": True}
    for window, frees in windows.items():
        assert frees_itself(meter("key", MeterEntry(cap="5 requests", window=window))) is frees
    assert frees_itself(meter("key", MeterEntry(cap="5 concurrent")))
