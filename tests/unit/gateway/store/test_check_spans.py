"""Through `record_spans`, which places them in the trace."""

from __future__ import annotations

from typing import Any

from gateway.store.record_spans import spans
from gateway.telemetry.spans import Kind, Span
from tests.support.journals import STARTED_NS, a_record

ID = "req_0190aabbccdd0102030405000000ff"
REQUEST = "request::100:200:200:1"
ANSWER = "answer::21000:50000:4000:12"


def by_name(**columns: Any) -> dict[str, Span]:
    made = spans(a_record(ID, chain="standard", **columns))
    assert len({span.span_id for span in made}) == len(made)
    return {span.name: span for span in made}


def codes(span: Span) -> list[object]:
    return [event.attributes["lockgate.check.code"] for event in span.events]


def test_what_looked_at_the_request_and_at_the_answer_is_a_span_each_below_the_requests() -> None:
    found = by_name(timings=f"{REQUEST} {ANSWER}")
    server, request, answer = found["POST /v1/chat/completions"], found["check request"], found["check answer"]
    assert list(found) == [server.name, request.name, "chat qwen3-8b", answer.name]
    assert {request.parent_id, answer.parent_id} == {server.span_id}
    assert (request.start_ns, request.end_ns) == (STARTED_NS + 100_000, STARTED_NS + 300_000)
    assert (answer.start_ns, answer.end_ns) == (STARTED_NS + 21_000_000, STARTED_NS + 71_000_000)
    assert answer.attributes == {
        "lockgate.check.stage": "answer",
        "lockgate.check.spent_us": 4_000,
        "lockgate.check.pieces": 12,
        "lockgate.chain": "standard",
    }
    assert (request.error, answer.error) == (False, False)


def test_a_check_that_asked_is_a_span_below_its_stages() -> None:
    found = by_name(timings=f"{REQUEST} request:injection:110:180:180:3 {ANSWER}")
    check = found["check injection"]
    assert (check.kind, check.parent_id) == (Kind.INTERNAL, found["check request"].span_id)
    assert (check.start_ns, check.end_ns) == (STARTED_NS + 110_000, STARTED_NS + 290_000)
    assert check.attributes["lockgate.check.name"] == "injection"
    assert check.attributes["lockgate.check.asked"] == 3


def test_a_verdict_is_an_event_of_the_span_it_was_given_in() -> None:
    found = by_name(
        timings=f"{REQUEST} request:injection:110:180:180:3 {ANSWER}",
        verdicts="input:pii:EMAIL:mask:0.99:2 input:injection:jailbreak:block:0.80:1 output:pii:PHONE:mask:1.00:1",
    )
    assert codes(found["check request"]) == ["EMAIL"]
    assert codes(found["check injection"]) == ["jailbreak"]
    assert codes(found["check answer"]) == ["PHONE"]
    assert found["POST /v1/chat/completions"].events == ()
    (event,) = found["check injection"].events
    assert event.at_ns == found["check injection"].end_ns


def test_what_a_model_said_before_is_judged_with_the_request_it_comes_in() -> None:
    found = by_name(timings=REQUEST, verdicts="output:pii:EMAIL:mask:0.99:2")
    assert codes(found["check request"]) == ["EMAIL"]


def test_a_check_that_did_not_judge_is_an_error_and_one_that_blocked_is_none() -> None:
    words = f"{REQUEST} request:injection:110:180:180:1 request:topics:110:90:90:1"
    found = by_name(timings=words, verdicts="input:injection:late:fail_open:1.00:1 input:topics:money:block:0.90:1")
    assert (found["check injection"].error, found["check topics"].error) == (True, False)
    assert found["check injection"].attributes["error.type"] == "late"


def test_nothing_ends_after_its_request_or_begins_after_it_ended() -> None:
    found = by_name(timings="request::100:90000000:1:1 request:injection:90000000:5:5:1")
    end = found["POST /v1/chat/completions"].end_ns
    assert all(span.start_ns <= span.end_ns <= end for span in found.values())


def test_what_was_cut_off_of_a_record_makes_no_span_without_its_parent() -> None:
    found = by_name(timings="answer:toxicity:1:2:3:4 request::1:", verdicts="output:toxicity:hate:block:0.90:1")
    assert list(found) == ["POST /v1/chat/completions", "chat qwen3-8b"]
    assert codes(found["POST /v1/chat/completions"]) == ["hate"]
