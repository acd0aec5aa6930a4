from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from gateway.config.snapshot_meters import FREE, Price
from gateway.policy import spend
from gateway.policy.spend import MAX_NANOS
from gateway.wire.usage import MAX_TOKENS, Usage

MILLION = 50_000_000_000  # $0.05/1M, in atto-dollars a token

prices = st.builds(
    Price, *[st.integers(0, 10**18) | st.integers(0, 10**12)] * 4, request=st.integers(0, 10**12), call=st.just(0)
)
tokens = st.integers(0, 100_000) | st.integers(0, MAX_TOKENS)
usages = st.builds(Usage, tokens, tokens, tokens, tokens)


def exact(price: Price, usage: Usage) -> Fraction:
    atto = Fraction(1, 10**9)
    return (
        usage.input_tokens * price.input * atto
        + usage.cached_input_tokens * price.cached_input * atto
        + usage.output_tokens * price.output * atto
        + usage.reasoning_tokens * price.reasoning * atto
    )


@given(prices, usages)
def test_a_charge_is_the_exact_sum_rounded_once_half_to_even(price: Price, usage: Usage) -> None:
    # `round` of a Fraction is exact and rounds half to even.
    assert spend.charge(price, usage) == min(round(exact(price, usage)) + price.request, MAX_NANOS)


def test_half_a_nano_dollar_goes_to_the_even_side() -> None:
    half = Price(input=500_000_000)
    assert [spend.charge(half, Usage(count, 0, 0, 0)) for count in range(8)] == [0, 0, 1, 2, 2, 2, 3, 4]


def test_classes_are_rounded_together_and_not_each() -> None:
    third = 333_333_333
    price = Price(third, third, third, third)
    assert spend.charge(price, Usage(1, 1, 1, 0)) == 1
    assert spend.charge(price, Usage(1, 0, 0, 0)) == 0


def test_a_golden_invoice() -> None:
    price = Price(input=MILLION, cached_input=MILLION // 10, output=3 * MILLION, reasoning=3 * MILLION, request=1_000)
    # 1,000 × 50 + 400 × 5 + 200 × 150 + 50 × 150 nano-dollars, and the request
    assert spend.charge(price, Usage(1_000, 400, 200, 50)) == 50_000 + 2_000 + 30_000 + 7_500 + 1_000


def test_a_free_model_costs_nothing_whatever_it_says() -> None:
    most = Usage(MAX_TOKENS, MAX_TOKENS, MAX_TOKENS, MAX_TOKENS)
    assert (spend.charge(FREE, most), spend.bound(FREE, MAX_TOKENS, MAX_TOKENS)) == (0, 0)
    assert spend.affordable_output(FREE, MAX_TOKENS, 0) == MAX_TOKENS


def test_an_absurd_usage_is_charged_what_a_record_can_hold() -> None:
    dear = Price(*[10**18] * 4)
    assert spend.charge(dear, Usage(MAX_TOKENS, 0, 0, 0)) == MAX_NANOS < 2**63
    assert spend.bound(dear, MAX_TOKENS, MAX_TOKENS) == MAX_NANOS


@given(prices, usages, tokens, tokens)
def test_no_request_within_its_bounds_is_charged_more_than_its_bound(
    price: Price, usage: Usage, more_in: int, more_out: int
) -> None:
    said_in = usage.input_tokens + usage.cached_input_tokens
    said_out = usage.output_tokens + usage.reasoning_tokens
    assert spend.charge(price, usage) <= spend.bound(price, said_in + more_in, said_out + more_out)


@given(prices, st.integers(0, 10**6), st.integers(0, 10**12))
def test_what_is_affordable_is_the_most_whose_bound_fits(price: Price, input_tokens: int, nanos: int) -> None:
    most = spend.affordable_output(price, input_tokens, nanos)
    if most:
        assert spend.bound(price, input_tokens, most) <= nanos
    if most < MAX_TOKENS:
        assert spend.bound(price, input_tokens, most + 1) > nanos


def test_a_hold_rounds_up() -> None:
    assert spend.bound(Price(input=1), 1, 0) == 1
    assert spend.bound(Price(input=10**9), 1, 0) == 1


def test_cheaper_is_less_somewhere_and_more_nowhere() -> None:
    price = Price(5, 5, 7, 7, 3)
    assert spend.cheaper(Price(5, 4, 7, 7, 3), price)
    assert spend.cheaper(FREE, price)
    for other in (price, Price(4, 4, 8, 8, 3), Price(6, 5, 7, 7, 3), None):
        assert not spend.cheaper(other, price)
