"""Each decision is derived from a record of a request that could have been, and from one that could not."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.snapshot import Snapshot
from gateway.policy.replay import Replay, Tally
from gateway.policy.replay_meters import Derived
from gateway.store.records import Attempt, Record
from tests.support.gateway import config, snapshot_of

URLS = ["http://a:1", "http://b:1"]
PRICE = {"input": 10**9, "output": 10**10}
"""1 and 10 nano-dollars a token."""
MODELS: dict[str, dict[str, Any]] = {
    "m": {"backend": "b", "served_model": "served", "price": PRICE, "fallback": ["n"]},
    "n": {"backend": "b", "served_model": "other", "price": PRICE},
}


def snapshot(**more: Any) -> Snapshot:
    return snapshot_of(config({"b": URLS}, MODELS, **more))


def answered(**columns: Any) -> Record:
    """A request that was answered, in whose record everything fits."""
    record = Record(
        id="req_1",
        started_ns=1_800_000_000 * 10**9,
        tenant="acme",
        key="app",
        endpoint="chat",
        alias="m",
        backend="b",
        served_model="served",
        attempts=[Attempt("b", URLS[1], "first", "least_outstanding", [1, 0], 200, "ok", 1.0, 2.0, 3.0)],
        input_tokens=7,
        cached_input_tokens=0,
        output_tokens=3,
        reasoning_tokens=0,
        status=200,
        code="ok",
        outcome="answered",
        charge_nanos=37,
        held_input=100,
        held_output=50,
        held_nanos=600,
        usage_from="backend",
    )
    for name, value in columns.items():
        setattr(record, name, value)
    return record


def different(record: Record, found: Snapshot | None = None) -> dict[str, tuple[str, str | None]]:
    """What came out differently: recorded, derived."""
    derived = Replay(found or snapshot()).of(record)
    return {
        each.decision: (each.recorded, each.derived) for each in derived if each.derived not in (each.recorded, None)
    }


def unknown(record: Record, found: Snapshot | None = None) -> dict[str, str]:
    return {each.decision: each.why for each in Replay(found or snapshot()).of(record) if each.derived is None}


def test_everything_of_an_answered_request_comes_out_again() -> None:
    found = Replay(snapshot()).of(answered())
    assert [each.decision for each in found] == [
        *("caller", "project", "model", "route", "chain", "endpoint", "bounds", "held", "charge"),
    ]
    assert [each.decision for each in found if not each.equal] == ["bounds"]


def test_what_texts_and_bodies_alone_say_is_told_not_to_be_derived() -> None:
    assert unknown(answered()) == {"bounds": "they are made of the body, which is not in the record"}
    chained = snapshot(chain=[{"check": "pii", "phase": "input", "action": "mask", "entities": ["EMAIL_ADDRESS"]}])
    assert set(unknown(answered(chain="c"), chained)) == {"bounds", "verdicts"}  # that nothing was found is one too


@pytest.mark.parametrize(
    ("columns", "decision"),
    [
        ({"key": "gone"}, "caller"),
        ({"project": "x"}, "project"),
        ({"alias": "nowhere"}, "model"),
        ({"code": "model_not_found", "backend": ""}, "model"),
        ({"backend": "c"}, "route"),
        ({"served_model": "other"}, "route"),
        ({"action": "fallback:n"}, "route"),
        ({"action": "fallback:m", "served_model": "served"}, "fallbacks"),
        ({"chain": "c"}, "chain"),
        ({"held_nanos": 601}, "held"),
        ({"charge_nanos": 38}, "charge"),
        ({"waste_nanos": 1}, "charge"),
        ({"output_tokens": 4}, "charge"),
    ],
)
def test_what_could_not_have_been_decided_comes_out_differently(columns: dict[str, Any], decision: str) -> None:
    assert decision in different(answered(**columns))


def test_a_key_that_is_not_there_any_more_is_not_the_caller() -> None:
    assert different(answered(tenant="acme", key="gone")) == {"caller": ("acme/gone", "")}


def test_a_request_without_a_known_key_cannot_be_derived() -> None:
    assert list(unknown(Record("req_1", 5, code="invalid_api_key"))) == ["caller"]


def test_a_request_that_asks_no_model_says_only_who_asked() -> None:
    found = Replay(snapshot()).of(answered(endpoint="models", alias=""))
    assert [each.decision for each in found] == ["caller"]


def test_the_chain_and_what_it_blocked_come_out_again() -> None:
    entry = {"check": "keywords", "phase": "input", "words": ["plutonium"], "code": "arms", "action": "block"}
    chained = snapshot(chain=[entry])
    blocked = answered(
        attempts=[],
        backend="",
        chain="c",
        outcome="refused",
        code="content_filter",
        verdicts="input:keywords:arms:block:1.00:1",
        usage_from="",
    )
    assert different(blocked, chained) == {}
    assert unknown(blocked, chained)["verdicts"] == "they are about its texts, which are not in the record"
    blocked.code = "ok"
    assert different(blocked, chained) == {"screened": ("ok", "content_filter")}
    assert different(answered(), chained)["chain"] == ("", "c")


def test_requests_that_are_alike_but_for_their_numbers_are_not_taken_for_one_another() -> None:
    replay = Replay(snapshot())
    other = answered(alias="n", served_model="other")
    for one in (answered(), answered(backend="c"), answered(charge_nanos=38), other):
        alone = Replay(snapshot()).of(one)
        assert replay.of(one) == alone
        assert replay.of(one) == alone


def test_a_tally_counts_each_decision_once() -> None:
    tally = Tally()
    assert tally.add(Replay(snapshot()).of(answered(charge_nanos=1))) == [Derived("charge", "1 0", "37 0")]
    tally.add(Replay(snapshot()).of(Record("req_2", 5)))
    assert tally.records == 2
    assert tally.equal["caller"] == 1
    assert tally.different == {"charge": 1}
    assert tally.not_derived == {
        ("bounds", "they are made of the body, which is not in the record"): 1,
        ("caller", "no key was recognised, and keys are not kept"): 1,
    }
