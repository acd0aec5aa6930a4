from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.telemetry import agent_spans
from gateway.telemetry.agent_spans import AgentSpan
from gateway.wire.otlp import request
from tests.support.agent_spans import SENDER, TRACE, a_span, as_json, kept, pairs
from tests.support.journals import STARTED_NS

OPENTELEMETRY = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "small",
    "gen_ai.response.model": "small-2026",
    "gen_ai.provider.name": "openai",
    "gen_ai.agent.name": "guide",
    "gen_ai.conversation.id": "c-1",
    "user.id": "u-1",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.cache_read.input_tokens": 60,
    "gen_ai.usage.output_tokens": 30,
    "gen_ai.usage.reasoning.output_tokens": 10,
    "operation.cost": 0.25,
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "small",
    "llm.provider": "openai",
    "llm.system": "other",
    "agent.name": "guide",
    "session.id": "c-1",
    "user.id": "u-1",
    "llm.token_count.prompt": 100,
    "llm.token_count.prompt_details.cache_read": 60,
    "llm.token_count.completion": 30,
    "llm.token_count.completion_details.reasoning": 10,
    "llm.cost.total": 0.25,
}


def one(attributes: dict[str, Any], **more: Any) -> AgentSpan:
    (span,) = kept([a_span("b7ad6b7169203331", attributes=attributes, **more)])
    return span


@pytest.mark.parametrize("attributes", [OPENTELEMETRY, OPENINFERENCE])
def test_both_conventions_fill_the_same_columns(attributes: dict[str, Any]) -> None:
    span = one(attributes, name="chat small", kind=3, end=20)
    assert span == AgentSpan(
        tenant="acme",
        key="app",
        request=SENDER.request,
        received_ns=STARTED_NS,
        trace=TRACE,
        span="b7ad6b7169203331",
        name="chat small",
        kind="client",
        started_ns=STARTED_NS,
        ended_ns=STARTED_NS + 20_000_000,
        operation="chat",
        model="small",
        provider="openai",
        agent="guide",
        conversation="c-1",
        end_user="u-1",
        input_tokens=40,
        cached_input_tokens=60,
        output_tokens=20,
        reasoning_tokens=10,
        cost_nanos=250_000_000,
        service="trip",
        scope="tests",
    )


@pytest.mark.parametrize(
    ("attributes", "operation"),
    [
        ({"gen_ai.operation.name": "execute_tool", "openinference.span.kind": "CHAIN"}, "execute_tool"),
        ({"openinference.span.kind": "TOOL"}, "execute_tool"),
        ({"openinference.span.kind": "AGENT"}, "invoke_agent"),
        ({"traceloop.span.kind": "workflow"}, "invoke_workflow"),
        ({"gen_ai.operation.name": "of_tomorrow"}, "of_tomorrow"),
        ({}, ""),
    ],
)
def test_operations_have_opentelemetrys_words(attributes: dict[str, Any], operation: str) -> None:
    assert one(attributes).operation == operation


def test_of_what_was_said_nothing_is_left() -> None:
    span = one(
        {"input.value": "secret", "gen_ai.input.messages": "secret", "acme.note": "secret", "x": ["secret"]},
        events=[
            {
                "name": "exception",
                "timeUnixNano": str(STARTED_NS),
                "attributes": pairs({"exception.message": "secret", "exception.type": "ValueError"}),
            }
        ],
        error=True,
    )
    assert "secret" not in str(span)
    assert (span.left_out, span.error, span.error_type) == (4, True, "ValueError")
    assert json.loads(span.events) == [["exception", STARTED_NS]]


def test_numbers_of_any_name_and_known_texts_without_a_column_are_kept_beside_the_columns() -> None:
    span = one({"acme.tries": 3, "gen_ai.response.finish_reasons": ["stop"], "gen_ai.tool.call.id": "x" * 500})
    assert json.loads(span.attributes) == {
        "acme.tries": 3,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.tool.call.id": "x" * agent_spans.MOST_CHARS,
    }


@pytest.mark.parametrize("count", [-1, True, 2**63, "12", 1.5])
def test_a_count_that_is_none_is_not_taken_for_one(count: Any) -> None:
    given = a_span("b7ad6b7169203331", attributes={"gen_ai.usage.input_tokens": count})
    (sent,) = request.spans(as_json([given]), "json", lambda _: True)
    assert agent_spans.of(sent, SENDER).input_tokens is None


@pytest.mark.parametrize(("cost", "nanos"), [(1e300, 2**63 - 1), (-1.0, None), (0, 0), (2, 2 * 10**9)])
def test_a_cost_is_within_what_a_table_takes(cost: float, nanos: int | None) -> None:
    assert one({"llm.cost.total": cost}).cost_nanos == nanos


def test_cached_tokens_are_never_more_than_all() -> None:
    span = one({"gen_ai.usage.input_tokens": 5, "gen_ai.usage.cache_read.input_tokens": 9})
    assert (span.input_tokens, span.cached_input_tokens) == (0, 9)


def test_a_span_that_ends_before_it_begins_took_no_time() -> None:
    assert one({}, start=10, end=5).ended_ns == STARTED_NS + 10_000_000


def test_times_beyond_what_a_table_takes_are_cut() -> None:
    (span,) = kept([a_span("b7ad6b7169203331") | {"startTimeUnixNano": str(2**64 - 1)}])
    assert span.started_ns == span.ended_ns == 2**63 - 1
