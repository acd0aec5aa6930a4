from __future__ import annotations

from gateway.policy.rerun import Compared, Rerun, difference
from gateway.policy.trace import Counts
from gateway.store.records import Record
from tests.support.gateway import config, snapshot_of
from tests.unit.gateway.policy.test_replay import MODELS, URLS, answered, snapshot


def test_a_record_is_asked_again_with_what_it_used_and_held() -> None:
    found = Rerun(snapshot()).request(answered(cached_input_tokens=3, reasoning_tokens=2, total_ms=1500.0, stream=True))
    assert found is not None
    assert (found.tenant, found.key, found.model) == ("acme", "app", "m")
    assert (found.input_tokens, found.cached_tokens, found.output_tokens) == (10, 3, 5)
    assert (found.max_tokens, found.held_input, found.lasts_s, found.streams) == (50, 100, 1.5, True)


def test_an_embedding_generates_nothing() -> None:
    found = Rerun(snapshot()).request(answered(endpoint="embeddings"))
    assert found is not None
    assert found.max_tokens == 0


def test_what_no_prices_or_meters_change_is_left_out() -> None:
    rerun = Rerun(snapshot())
    assert rerun.request(Record("req_1", 5, code="invalid_api_key")) is None
    assert rerun.request(answered(outcome="refused", code="content_filter")) is None
    assert rerun.request(answered(endpoint="models", alias="")) is None
    assert rerun.left_out == {"invalid_api_key": 1, "content_filter": 1, "ok": 1}
    assert rerun.tenants == {}


def test_answers_that_nobody_knows_are_counted_as_that() -> None:
    rerun = Rerun(snapshot())
    rerun.request(answered(outcome="refused", code="rate_limit_exceeded", input_tokens=None, charge_nanos=None))
    rerun.request(answered(usage_from="none", charge_nanos=0))
    rerun.request(answered(action="clamped:5"))
    rerun.request(answered(outcome="cancelled"))
    rerun.request(answered())
    assert rerun.tenants == {"acme": Compared(requests=5, refused=1, cost_nanos=111, never_made=2, cut_short=2)}


def test_a_model_that_moves_to_another_backend_is_told() -> None:
    moved = snapshot_of(config({"b": URLS, "c": URLS}, {**MODELS, "m": MODELS["n"] | {"backend": "c"}}))
    rerun = Rerun(moved)
    rerun.request(answered())
    assert rerun.routes == {("acme", "m", "b", "c"): 1}


def test_a_difference_is_now_less_then() -> None:
    then, now = Compared(requests=5, refused=2, cost_nanos=10), Counts(refused_rate=1, refused_budget=3, cost_nanos=4)
    assert difference(then, now) == (2, -6)
