from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import snapshot
from gateway.config.model import AnyModel, Config, Endpoint, Key, Model, Onnx, Provider, Tenant, Vllm
from gateway.config.model_meters import CallPrice, Downgrade, MeterEntry, Project, TokenPrices
from gateway.config.snapshot_meters import CONCURRENT, INPUT, MONEY, OUTPUT
from gateway.policy.overhead import TEMPLATE_TOKENS
from gateway.policy.simulate import SECOND, Simulation
from gateway.policy.trace import Assumptions, Counts, Request

NANO = 10**9  # atto-dollars: a token that costs a nano-dollar
DAY = 20_000 * 86_400 * SECOND
CHEAP = TokenPrices(input=NANO, output=NANO)
DEAR = TokenPrices(input=10 * NANO, output=100 * NANO)
MODELS: dict[str, AnyModel] = {
    "small": Model(backend="gpu", price=CHEAP, max_output=1000),
    "large": Model(backend="gpu", price=DEAR, max_output=1000),
    "gpt": Model(backend="cloud", price=DEAR, max_output=1000),
    "churn": Onnx(versions={"1": "a.onnx"}, price=CallPrice(call=7)),
}


def simulation(*meters: MeterEntry, **assumed: Any) -> Simulation:
    tenant = Tenant(
        models=("*",),
        keys={"app": Key(digest=b"1" * 32, projects=("p",)), "other": Key(digest=b"2" * 32)},
        projects={"p": Project(meters=(MeterEntry(cap="3 requests", window="lifetime"),)), "q": Project()},
        meters=meters,
    )
    config = Config(
        backends={"gpu": Vllm(endpoints=(Endpoint(url="http://a"),)), "cloud": Provider(provider="openai")},
        models=MODELS,
        tenants={"acme": tenant},
    )
    return Simulation(snapshot.compile(config, ""), Assumptions(**assumed))


def request(at_s: float = 0, model: str = "small", given: int = 100, made: int = 50, **more: Any) -> Request:
    more.setdefault("key", "other")
    return Request(DAY + int(at_s * SECOND), "acme", model, given, made, **more)


def run(found: Simulation, requests: Sequence[Request]) -> Counts:
    counts = Counts()
    for each in requests:
        found.take(each, counts)
    found.finish()
    assert all(account.held == 0 for account in found._accounts.values())
    decided = counts.served + counts.refused_rate + counts.refused_budget + counts.refused_other
    assert decided == counts.requests == len(requests)
    return counts


def test_without_meters_everything_is_served_and_priced() -> None:
    counts = run(simulation(), [request(), request(1, "large", cached_tokens=100), request(2, "churn")])
    assert (counts.served, counts.input_tokens, counts.output_tokens) == (3, 200, 100)
    assert counts.cost_nanos == counts.asked_nanos == 150 + 1000 + 5000 + 7


def test_a_rate_refuses_until_its_window_has_moved_on() -> None:
    found = simulation(MeterEntry(cap="2 requests", window="60s"))
    counts = run(found, [request(at_s) for at_s in (0, 1, 2, 59, 62, 63, 64)])
    assert (counts.served, counts.refused_rate) == (4, 3)
    assert found.refused_by == {"tenant:acme|requests|60s|": 3}


def test_a_calendar_cap_begins_anew_with_its_window() -> None:
    found = simulation(MeterEntry(cap="1 requests", window="day", zone="Europe/Berlin"))
    counts = run(found, [request(), request(3600), request(86_400)])
    assert (counts.served, counts.refused_budget) == (2, 1)


def test_what_runs_at_once_is_bounded_and_ends_after_its_tokens() -> None:
    found = simulation(MeterEntry(cap="1 concurrent"), first_token_s=1, tokens_per_s=10)
    counts = run(found, [request(0, made=50), request(5.9), request(6.1)])
    assert (counts.served, counts.refused_rate, found.ran_most) == (2, 1, 1)


def test_a_stream_is_cut_when_the_money_ends_and_not_before() -> None:
    # 128 + 5 × 100 nano-dollars of input are held, and 64 of output at a time
    held = TEMPLATE_TOKENS + 500
    found = simulation(MeterEntry(cap=f"{held + 3 * 64} usd", window="lifetime"))
    counts = run(found, [request(made=1000)])
    assert (counts.served, counts.cut, counts.output_tokens, counts.cost_nanos) == (1, 1, 192, 292)
    whole = run(simulation(MeterEntry(cap=f"{held + 1000} usd", window="lifetime")), [request(made=1000)])
    assert (whole.cut, whole.output_tokens) == (0, 1000)


def test_what_cannot_be_metered_as_it_runs_is_clamped() -> None:
    held = TEMPLATE_TOKENS + 500
    cap = f"{10 * held + 100 * 30} usd"
    for found, model in ((simulation(MeterEntry(cap=cap, window="lifetime")), "gpt"),
                         (simulation(MeterEntry(cap=cap, window="lifetime"), streams=False), "large")):  # fmt: skip
        counts = run(found, [request(0, model, made=50)])
        assert (counts.served, counts.clamped, counts.shortened, counts.cut) == (1, 1, 1, 0)
        assert counts.output_tokens == 30


def test_a_threshold_clamps_before_the_cap_is_near() -> None:
    entry = MeterEntry(cap="1000000 output_tokens", window="day", at={"10": "clamp"})
    found = simulation(entry)
    counts = run(found, [request(60 * number, made=1000) for number in range(12)])
    assert counts.clamped == 0  # there is room for the whole answer: nothing has to be shortened
    tight = simulation(MeterEntry(cap="2500 output_tokens", window="day", at={"10": "clamp"}))
    counts = run(tight, [request(60 * number, made=1000) for number in range(4)])
    assert (counts.served, counts.clamped, counts.refused_budget, counts.output_tokens) == (3, 1, 1, 2500)


def test_a_threshold_sends_to_a_cheaper_model_and_never_to_a_dearer_one() -> None:
    at: Any = {"500": Downgrade(downgrade="small")}
    found = simulation(MeterEntry(cap="100000 usd", window="day", at=at))
    counts = run(found, [request(60 * number, "large", made=100) for number in range(8)])
    assert counts.downgraded == 3  # after five at 11,000
    assert counts.cost_nanos == 5 * 11_000 + 3 * 200
    dearer: Any = {"500": Downgrade(downgrade="large")}
    found = simulation(MeterEntry(cap="1000 usd", window="day", at=dearer))
    assert run(found, [request(60 * number) for number in range(5)]).downgraded == 0


def test_a_warning_is_told_once() -> None:
    found = simulation(MeterEntry(cap="1000 usd", window="day", at={"300": "warn"}))
    run(found, [request(60 * number) for number in range(5)])
    assert found.warned == {"tenant:acme|usd|day@UTC|2024-10-04": 1}


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (request(model="none"), "model_not_found: none"),
        (request(project="p"), "project_not_allowed: p"),
        (request(key="gone"), "unknown tenant or key: acme/gone"),
    ],
)
def test_what_is_refused_for_another_reason_is_told(asked: Request, why: str) -> None:
    found = simulation()
    assert run(found, [asked]).refused_other == 1
    assert found.refused_why == {why: 1}


def test_a_model_without_a_price_is_refused_where_money_is_counted() -> None:
    tenant = Tenant(models=("*",), keys={"k": Key(digest=b"1" * 32)})
    models: dict[str, AnyModel] = {"m": Model(backend="gpu"), "n": Model(backend="gpu", price="free")}
    found = Simulation(snapshot.compile(Config(models=models, tenants={"acme": tenant}), ""), Assumptions())
    counts = run(found, [request(key=""), request(model="m", key=""), request(model="n", key="")])
    assert (counts.served, counts.refused_other) == (1, 2)
    assert found.refused_why == {"model_not_found: small": 1, "model_not_priced: m": 1}


def test_a_key_with_one_project_works_for_it() -> None:
    found = simulation()
    counts = run(found, [request(number, key="app") for number in range(5)])
    assert (counts.served, counts.refused_budget) == (3, 2)
    assert found.refused_by == {"project:acme/p|requests|lifetime|": 2}


requests = st.lists(
    st.builds(
        request,
        at_s=st.integers(0, 300),
        model=st.sampled_from(list(MODELS)),
        given=st.integers(0, 2000),
        made=st.integers(0, 1500),
        max_tokens=st.none() | st.integers(1, 1200),
    ),
    max_size=30,
)
caps = st.lists(
    st.sampled_from(["usd", "output_tokens", "input_tokens", "requests", "concurrent"]), unique=True, max_size=4
).flatmap(lambda names: st.tuples(*[st.tuples(st.just(name), st.integers(0, 200_000)) for name in names]))


@settings(max_examples=60)
@given(requests, caps, st.booleans())
def test_no_cap_is_ever_overshot(asked: list[Request], capped: tuple[tuple[str, int], ...], streams: bool) -> None:
    entries = [
        MeterEntry(cap=f"{cap} {name}", window=None if name == "concurrent" else "lifetime") for name, cap in capped
    ]
    found = simulation(*entries, streams=streams)
    counts = Counts()
    for each in sorted(asked, key=lambda each: each.at_ns):
        found.take(each, counts)
        for account in found._accounts.values():
            assert account.used(each.at_ns // SECOND) <= account.meter.cap
    found.finish()
    sums = {MONEY: counts.cost_nanos, OUTPUT: counts.output_tokens, INPUT: counts.input_tokens, CONCURRENT: 0}
    for account in found._accounts.values():
        used = account.used(2**40)
        assert used <= account.meter.cap
        assert used == sums.get(account.meter.quantity, counts.served)
