from __future__ import annotations

from typing import Any

from gateway.config.model import Config, Endpoint, Model, Provider, Vllm
from gateway.store.record_spans import known, spans, trace_of, wanted
from gateway.store.records import Attempt
from gateway.telemetry.spans import Kind, Span
from gateway.wire import trace_ids
from tests.support.journals import STARTED_NS, a_record, an_attempt

ID = "req_0190aabbccdd0102030405000000ff"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CONFIG = Config(
    backends={
        "gpu-a": Vllm(endpoints=(Endpoint(url="http://vllm-0:8000"),)),
        "outside": Provider(provider="mistral", api_key="${KEY}"),
    },
    models={
        "small": Model(backend="gpu-a", served_model="qwen3-8b", fallback=("big",)),
        "big": Model(backend="outside", served_model="large-2"),
    },
)


def spans_of(**columns: Any) -> list[Span]:
    return spans(a_record(ID, **columns), known(CONFIG))


def test_an_answered_request_is_a_server_span_with_the_attempt_below_it() -> None:
    server, attempt = spans_of(stream=True, charge_nanos=1_200, cached_input_tokens=3, reasoning_tokens=4)
    assert (server.name, server.kind, server.parent_id) == ("POST /v1/chat/completions", Kind.SERVER, "")
    assert (server.start_ns, server.end_ns) == (STARTED_NS, STARTED_NS + 80_000_000)
    assert (attempt.name, attempt.kind, attempt.parent_id) == ("chat qwen3-8b", Kind.CLIENT, server.span_id)
    assert (attempt.start_ns, attempt.end_ns) == (STARTED_NS + 250_000, STARTED_NS + 80_000_000)
    assert server.attributes["lockgate.charge.usd_nanos"] == 1_200
    assert server.attributes["http.response.status_code"] == 200
    assert attempt.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "qwen3-8b",
        "gen_ai.request.stream": True,
        "gen_ai.response.time_to_first_chunk": 0.02025,
        "gen_ai.usage.input_tokens": 15,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "gen_ai.usage.output_tokens": 38,
        "gen_ai.usage.reasoning.output_tokens": 4,
        "http.response.status_code": 200,
        "server.address": "vllm-0",
        "server.port": 8000,
        "lockgate.backend": "gpu-a",
        "lockgate.attempt.number": 1,
        "lockgate.attempt.reason": "first",
        "lockgate.attempt.choice": "least_outstanding",
    }


def test_a_callers_trace_goes_on_below_its_span_and_each_attempt_is_what_its_backend_was_told() -> None:
    server, *attempts = spans_of(traceparent=PARENT, attempts=[an_attempt(code="connect_failed"), an_attempt()])
    assert {each.trace_id for each in (server, *attempts)} == {PARENT[3:35]}
    assert server.parent_id == PARENT[36:52]
    told = [trace_ids.passed_on(PARENT, ID, number, trace_ids.EVERY)[36:52] for number in (1, 2)]
    assert [each.span_id for each in attempts] == told


def test_without_a_callers_trace_the_request_has_its_own() -> None:
    assert {each.trace_id for each in spans_of()} == {trace_ids.trace_of(ID)}


def test_an_attempt_that_found_no_connection_began_when_the_one_before_ended() -> None:
    failed = Attempt("gpu-a", "http://vllm-1:8000", "first", "sticky", code="connect_failed", ended_ms=30.0)
    silent = Attempt("gpu-a", "http://vllm-2:8000", "retry", "sticky", code="connect_failed", ended_ms=50.0)
    _, first, second = spans_of(attempts=[failed, silent], code="connect_failed", outcome="failed", status=502)
    assert (first.start_ns, first.end_ns, first.error) == (STARTED_NS, STARTED_NS + 30_000_000, True)
    assert (second.start_ns, second.end_ns) == (STARTED_NS + 30_000_000, STARTED_NS + 50_000_000)
    assert second.attributes["error.type"] == "connect_failed"


def test_a_fallback_names_what_each_backend_was_asked_for() -> None:
    broken = an_attempt(code="upstream_failed")
    answered = Attempt("outside", "unix:///run/p.sock", "fallback", "only", [0], 200, "ok", 40.0, 60.0, 80.0)
    _, first, second = spans_of(
        attempts=[broken, answered], action="fallback:big", backend="outside", served_model="large-2"
    )
    assert (first.name, second.name) == ("chat qwen3-8b", "chat large-2")
    assert second.attributes["gen_ai.provider.name"] == "mistral_ai"
    assert second.attributes["server.address"] == "/run/p.sock"
    assert "server.port" not in second.attributes
    assert "gen_ai.usage.input_tokens" not in first.attributes


def test_verdicts_are_events_on_what_came_in_before_the_attempt_and_on_what_went_out_at_the_end() -> None:
    words = "input:pii:email:mask:0.99:2 output:topics:money:block:0.80:1"
    server, attempt = spans_of(verdicts=words + " output:pii:na", chain="standard")
    assert server.attributes["lockgate.chain"] == "standard"
    assert [event.at_ns for event in server.events] == [attempt.start_ns, server.end_ns]
    assert server.events[0].attributes == {
        "lockgate.check.phase": "input",
        "lockgate.check.name": "pii",
        "lockgate.check.code": "email",
        "lockgate.check.action": "mask",
        "lockgate.check.score": 0.99,
        "lockgate.check.count": 2,
    }
    assert attempt.attributes["gen_ai.response.finish_reasons"] == ("content_filter",)


def test_an_answer_that_was_cut_ended_for_its_length() -> None:
    assert spans_of(action="clamped:10 cut")[1].attributes["gen_ai.response.finish_reasons"] == ("length",)
    assert "gen_ai.response.finish_reasons" not in spans_of()[1].attributes


def test_what_a_check_only_observed_filtered_nothing() -> None:
    (_, attempt) = spans_of(verdicts="output:pii:email:would_block:0.99:1")
    assert "gen_ai.response.finish_reasons" not in attempt.attributes


def test_a_refusal_is_no_error_of_the_server_and_claims_no_model() -> None:
    (server,) = spans_of(attempts=[], backend="", status=404, code="model_not_found", outcome="refused", alias="x")
    assert not server.error
    assert "error.type" not in server.attributes
    assert "lockgate.model" not in server.attributes


def test_a_crashed_request_ends_where_it_began() -> None:
    (server,) = spans_of(attempts=[], status=0, code="crashed", outcome="crashed", total_ms=0.0)
    assert (server.start_ns, server.error) == (server.end_ns, True)
    assert "http.response.status_code" not in server.attributes


def test_a_classic_model_that_runs_here_has_a_span_of_its_own() -> None:
    classic = {"attempts": [], "endpoint": "infer", "backend": "onnx", "alias": "churn", "served_model": "churn"}
    server, run = spans_of(**classic, version="3", rows=12)
    assert (server.name, run.name, run.kind) == ("infer", "infer churn", Kind.INTERNAL)
    assert (run.attributes["lockgate.rows"], run.attributes["lockgate.model.version"]) == (12, "3")


def test_a_classic_model_of_a_server_is_asked_with_no_name_of_the_genai_conventions() -> None:
    _, attempt = spans_of(endpoint="infer")
    assert attempt.name == "infer qwen3-8b"
    assert not any(name.startswith("gen_ai.") for name in attempt.attributes)


def test_a_caller_that_left_makes_the_attempt_no_error() -> None:
    _, attempt = spans_of(code="cancelled", outcome="cancelled", attempts=[an_attempt(code="cancelled")])
    assert not attempt.error
    assert attempt.attributes["error.type"] == "cancelled"


def test_the_callers_flag_says_whether_spans_are_sent_and_errors_always_are() -> None:
    nothing, everything = trace_ids.below(0.0), trace_ids.below(1.0)
    assert wanted(a_record(ID, traceparent=PARENT), nothing, errors=True)
    assert not wanted(a_record(ID, traceparent=PARENT[:-2] + "00"), everything, errors=True)
    assert wanted(a_record(ID), everything, errors=False)
    assert not wanted(a_record(ID), nothing, errors=True)
    assert not wanted(a_record(ID, endpoint="traces", traceparent=PARENT), everything, errors=True)
    broken = a_record(ID, status=502, outcome="failed", traceparent=PARENT[:-2] + "00")
    assert wanted(broken, nothing, errors=True)
    assert not wanted(broken, nothing, errors=False)


def test_an_id_of_another_form_has_a_trace_too() -> None:
    assert len(trace_of(a_record("req_7"))) == 32
    assert trace_of(a_record("req_7")) != trace_of(a_record("req_8"))


def test_a_classic_models_run_has_the_time_in_which_it_ran() -> None:
    classic = {"attempts": [], "endpoint": "infer", "backend": "onnx", "alias": "churn", "served_model": "churn"}
    _, check, run = spans_of(**classic, timings="request::100:200:200:1 run::2000:3500:3500:1")
    assert (check.name, run.name) == ("check request", "infer churn")
    assert (run.start_ns, run.end_ns) == (STARTED_NS + 2_000_000, STARTED_NS + 5_500_000)
    refused = {"code": "rate_limit_exceeded", "outcome": "refused", "status": 429}
    assert [span.name for span in spans_of(**classic, **refused)] == ["infer"]
    wrong = {"code": "invalid_request", "outcome": "refused", "status": 400}
    assert spans_of(**classic, **wrong, timings="run::2000:30:30:1")[1].attributes["error.type"] == "invalid_request"
