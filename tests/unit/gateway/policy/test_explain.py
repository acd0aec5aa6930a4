from __future__ import annotations

from typing import Any

from gateway.policy.explain import steps
from gateway.store.records import Attempt, Record
from tests.unit.gateway.policy.test_replay import URLS, answered, snapshot


def told(record: Record, *, archived: bool = True) -> dict[str, list[str]]:
    return {step.name: step.lines for step in steps(record, snapshot() if archived else None)}


def test_an_answered_request_is_told_from_key_to_charge() -> None:
    found = told(answered(total_ms=5.0, first_byte_ms=2.0))
    assert list(found) == [
        *("request", "who", "model", "price", "meters", "attempt 1", "usage", "charge", "times", "derived"),
    ]
    assert found["who"] == ["tenant acme, key app"]
    assert found["model"] == ["m was asked for; should m fail: n", "backend b, which calls it served"]
    assert found["meters"] == ["held at most 100 input and 50 output tokens, $0.0000006"]
    assert found["charge"] == ["7 input × $0.001/1M", "3 output × $0.01/1M", "= $0.000000037"]
    assert found["derived"][0].startswith("again from this record, and equal: caller, project, model, route")


def test_what_meters_did_is_told_with_what_they_read() -> None:
    key = "tenant:acme|usd|month@UTC|2026-11"
    found = told(answered(action="clamped:25 cut", readings=[(key, 4 * 10**9, 5 * 10**9)], asked_output=400))
    assert found["meters"][1:] == [
        "it could have used 400 output tokens",
        f"{key}: $4 of $5 used (80%)",
        "each answer was bounded by 25 tokens, which is what was left",
        "the answer was ended, since nothing more was left to pay for it",
    ]


def test_each_try_is_told_with_why_it_was_made_and_what_followed() -> None:
    first = Attempt("b", URLS[0], "first", "sticky", [0, 3], 503, "upstream_busy", 1.0, 2.0, 3.0)
    first.then, first.endpoints_left = "other_endpoint", 1
    second = Attempt("b", URLS[1], "retry", "only", [0, 3], 200, "ok", 4.0, 5.0, 6.0)
    found = told(answered(attempts=[first, second]))
    assert found["attempt 1"] == [
        "b at http://a:1: the first try",
        "chosen since it has this conversation's cache; they ran [0, 3] requests",
        "sent at 1.0 ms, first byte at 2.0 ms, over at 3.0 ms, status 503: upstream_busy",
        "then: another endpoint was left to try",
    ]
    assert found["attempt 2"][0] == "b at http://b:1: tried again"


def test_checks_are_told_without_what_they_found_it_in() -> None:
    found = told(answered(chain="c", verdicts="input:pii:EMAIL_ADDRESS:mask:1.00:2", judges="guard", judge_nanos=9))
    assert found["checks"] == [
        "chain c",
        "input: pii found EMAIL_ADDRESS 2 times, score 1.00: mask",
        "judged by guard: 0 tokens, $0.000000009",
    ]


def test_how_long_checks_took_is_told_of_each_that_asked_too() -> None:
    words = "request::250:1500:1500:1 request:injection:300:1400:1400:2 answer::20000:60000:4000:12 run::1:2:3:1"
    assert told(answered(chain="c", timings=words))["checks"] == [
        "chain c",
        "the checks of the request took 1.5 ms, from 0.2 ms on",
        "injection was asked 2 times: 1.4 ms",
        "the checks of the answer took 4.0 ms, over 60.0 ms, from 20.0 ms on",
    ]


def test_a_request_without_a_key_and_one_without_a_snapshot_say_what_is_known() -> None:
    assert told(Record("req_1", 5, code="invalid_api_key", outcome="refused"))["who"] == ["no key was recognised"]
    found = told(answered(), archived=False)
    assert found["price"] == ["its snapshot is not there"]
    assert found["charge"] == ["= $0.000000037"]
    assert "derived" not in found


def test_a_difference_is_told_as_one() -> None:
    assert told(answered(charge_nanos=38))["derived"][-1] == "DIFFERENT charge: recorded 38 0, derived 37 0"


def test_a_crash_is_charged_what_it_held() -> None:
    crash: dict[str, Any] = {"outcome": "crashed", "code": "crashed", "usage_from": "held", "charge_nanos": 600}
    assert told(answered(**crash))["charge"] == ["what it held, since nobody knows what it used", "= $0.0000006"]
