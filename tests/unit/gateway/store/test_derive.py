from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.derive import Counting, line
from gateway.store.records import Record
from gateway.telemetry import names
from gateway.telemetry.logs import MASK, Timestamps
from gateway.telemetry.metrics import Cell, Metrics
from gateway.wire import usage
from tests.support.journals import a_record, an_attempt


def counted(*records: Record) -> Metrics:
    metrics = Metrics()
    counting = Counting(metrics)
    for record in records:
        counting.add(record)
    return metrics


def only_cell(metrics: Metrics) -> Cell:
    (cell,) = metrics.cells.values()
    return cell


def test_every_record_is_counted_once_whatever_became_of_it() -> None:
    records = [
        a_record(outcome=outcome, code=code)
        for outcome, code in (("answered", "ok"), ("refused", "model_not_found"), ("crashed", "crashed"))
    ]
    metrics = counted(*records, *records)
    assert sorted((labels.outcome, cell.requests) for labels, cell in metrics.cells.items()) == [
        ("answered", 2),
        ("crashed", 2),
        ("refused", 2),
    ]


@given(*(st.none() | st.integers(0, 10**9) for _ in range(4)))
def test_each_class_of_tokens_is_counted_as_it_was_recorded(
    tokens: int | None, cached: int | None, output: int | None, reasoning: int | None
) -> None:
    record = a_record(input_tokens=tokens, cached_input_tokens=cached, output_tokens=output, reasoning_tokens=reasoning)
    cell = only_cell(counted(record, record))
    seen = (cell.input_tokens, cell.cached_input_tokens, cell.output_tokens, cell.reasoning_tokens)
    assert seen == tuple(2 * (stated or 0) for stated in (tokens, cached, output, reasoning))


def test_what_an_answer_states_is_counted_once_from_the_answer_to_the_metrics() -> None:
    stated = usage.from_answer(
        b'{"usage":{"prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":80},'
        b'"completion_tokens":50,"completion_tokens_details":{"reasoning_tokens":30}}}'
    )
    assert stated is not None
    cell = only_cell(counted(a_record(**msgspec.structs.asdict(stated))))
    assert (cell.input_tokens, cell.cached_input_tokens) == (20, 80)
    assert (cell.output_tokens, cell.reasoning_tokens) == (20, 30)


def test_tenants_that_count_as_one_share_what_is_looked_up() -> None:
    counting = Counting(Metrics())
    for number in range(names.MOST_VALUES + 50):
        counting.add(a_record(tenant=f"t{number}"))
    assert len(counting._cells) == names.MOST_VALUES + 1


def test_usage_nobody_reported_counts_as_nothing() -> None:
    cell = only_cell(counted(a_record(input_tokens=None, output_tokens=None)))
    assert (cell.requests, cell.input_tokens, cell.output_tokens) == (1, 0, 0)


def test_durations_are_of_answered_requests_only() -> None:
    metrics = counted(a_record(), a_record(outcome="cancelled", code="cancelled"))
    (latencies,) = metrics.latencies.values()
    assert sum(latencies.duration.counts) == 1
    assert latencies.duration.total == 0.08


def test_a_streamed_answer_tells_its_first_token_and_the_time_per_further_one() -> None:
    metrics = counted(a_record(stream=True, first_byte_ms=50.0, total_ms=250.0, output_tokens=11))
    latencies = metrics.latencies["chat", "small", "true"]
    assert latencies.ttft.total == 0.05
    assert round(latencies.tpot.total, 9) == 0.02


def test_tokens_of_reasoning_take_their_time_too() -> None:
    metrics = counted(
        a_record(stream=True, first_byte_ms=50.0, total_ms=250.0, output_tokens=5, reasoning_tokens=6),
        a_record(stream=True, first_byte_ms=50.0, total_ms=250.0, output_tokens=0, reasoning_tokens=11),
    )
    assert round(metrics.latencies["chat", "small", "true"].tpot.total, 9) == 0.04


def test_a_streamed_answer_of_one_token_has_no_time_per_token() -> None:
    metrics = counted(a_record(stream=True, output_tokens=1), a_record(stream=True, output_tokens=None))
    latencies = metrics.latencies["chat", "small", "true"]
    assert (sum(latencies.ttft.counts), sum(latencies.tpot.counts)) == (2, 0)


def test_every_attempt_is_counted() -> None:
    failed, retried = an_attempt("http://a", "connect_failed"), an_attempt("http://b", "ok", "retry")
    metrics = counted(a_record(attempts=[failed, retried]), a_record(attempts=[failed]))
    assert metrics.attempts == {
        ("gpu-a", "http://a", "first", "connect_failed"): 2,
        ("gpu-a", "http://b", "retry", "ok"): 1,
    }


def test_aliases_that_callers_invent_do_not_become_labels() -> None:
    metrics = counted(*(a_record(alias=f"invented-{number}", backend="") for number in range(100)))
    assert {labels.model for labels in metrics.cells} == {"other"}


def test_a_line_says_what_happened_and_leaves_out_what_is_not_known() -> None:
    record = a_record(served_model="", input_tokens=None, conversation="c", end_user="u", traceparent="t")
    assert msgspec.to_builtins(line(record, Timestamps())) == {
        "event": "request_ended",
        "time": "2027-01-15T08:00:00.203Z",
        "level": "info",
        "id": "req_1",
        "tenant": "acme",
        "key": "app",
        "endpoint": "chat",
        "model": "small",
        "stream": False,
        "status": 200,
        "code": "ok",
        "outcome": "answered",
        "backend": "gpu-a",
        "upstream": "http://vllm-0:8000",
        "attempts": 1,
        "output_tokens": 34,
        "first_byte_ms": 20.5,
        "total_ms": 80.0,
        "body_bytes": 2_048,
        "answer_bytes": 692,
    }


def test_a_line_names_cached_and_reasoning_tokens_where_there_were_any() -> None:
    said = msgspec.to_builtins(line(a_record(cached_input_tokens=5, reasoning_tokens=6), Timestamps()))
    assert [said[name] for name in ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")] == [
        *(12, 5, 34, 6)
    ]
    none = msgspec.to_builtins(line(a_record(cached_input_tokens=0, reasoning_tokens=0), Timestamps()))
    assert not {"cached_input_tokens", "reasoning_tokens"} & none.keys()


def test_a_line_begins_with_its_time_as_all_lines_do() -> None:
    assert msgspec.json.encode(line(a_record(), Timestamps())).startswith(
        b'{"time":"2027-01-15T08:00:00.203Z","level":"info","event":"request_ended","id":"req_1",'
    )


def test_a_line_of_a_request_of_which_little_is_known_says_little() -> None:
    record = Record("req_1", started_ns=1_800_000_000_000_000_000, code="invalid_api_key", outcome="refused")
    # As decoded, where 0.0 and "" are new objects.
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=Record)
    assert msgspec.to_builtins(line(read, Timestamps())) == {
        "time": "2027-01-15T08:00:00.000Z",
        "level": "info",
        "event": "request_ended",
        "id": "req_1",
        "code": "invalid_api_key",
        "outcome": "refused",
        "stream": False,
        "attempts": 0,
        "body_bytes": 0,
        "answer_bytes": 0,
    }


def test_a_key_sent_where_it_does_not_belong_is_not_in_the_line() -> None:
    secret = "lg-Abcdefgh0123456789abcdef"
    shown = line(a_record(caller_request_id=secret, alias=secret, backend=""), Timestamps())
    assert (shown.caller_request_id, shown.model) == (MASK, MASK)
