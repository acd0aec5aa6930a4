from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.layout import MAX_ENTRY_BYTES
from gateway.store.records import MAX_ATTEMPTS, Attempt, Opened, Record, capped, crashed
from tests.support.journals import a_record, opened

MS = 1_000_000
TEXTS = st.text(st.characters(), max_size=2_000)
NUMBERS = st.integers(-(2**70), 2**70)


def round_trip(record: Record) -> Record:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=Record)


def test_a_record_comes_back_as_it_was_written() -> None:
    assert round_trip(a_record()) == a_record()


def test_a_record_of_an_older_version_reads_with_defaults_for_the_columns_it_lacks() -> None:
    old = msgspec.msgpack.encode(["req_1", 5, "acme"])
    assert msgspec.msgpack.decode(old, type=Record) == Record("req_1", 5, "acme")


def test_a_record_of_a_newer_version_reads_without_the_columns_we_do_not_know() -> None:
    columns: list[Any] = [*msgspec.to_builtins(a_record()), "a column of the future"]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(columns), type=Record) == a_record()


def test_two_records_never_share_their_list_of_attempts() -> None:
    first, second = Record(), Record()
    first.attempts.append(Attempt())
    assert second.attempts == []


def test_columns_are_only_ever_appended() -> None:
    """Old journals are read by position. If this fails: put the new column at the end, with a default."""
    assert Record.__struct_fields__[:47] == (
        *("id", "started_ns", "tenant", "key", "endpoint", "alias", "stream", "snapshot", "backend", "served_model"),
        *("attempts", "input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens"),
        *("status", "code", "outcome", "first_byte_ms", "total_ms", "body_bytes", "answer_bytes"),
        *("caller_request_id", "traceparent", "conversation", "end_user", "rows", "version"),
        *("charge_nanos", "waste_tokens", "waste_nanos", "held_input", "held_output", "held_nanos"),
        *("readings", "usage_from", "action", "project", "verdicts"),
        *("judge_input_tokens", "judge_output_tokens", "judge_nanos", "judges"),
        *("asked_output", "answers", "chain", "timings"),
    )
    assert Attempt.__struct_fields__[:14] == (
        *("backend", "endpoint", "reason", "choice", "loads", "status", "code", "sent_ms", "first_byte_ms", "ended_ms"),
        *("out_of_service", "draw", "endpoints_left", "then"),
    )
    assert Opened.__struct_fields__[:16] == (
        *("id", "started_ns", "tenant", "key", "endpoint", "alias", "backend", "snapshot", "stream"),
        *("held_input", "held_output", "held_nanos", "end_user", "conversation", "action", "project"),
    )


def test_no_entry_ends_in_a_zero_byte() -> None:
    """A reader that looks for the next entry behind damage takes zero bytes at the end for unwritten."""
    for entry in (Record(), crashed(opened("req_7")), a_record(stream=False)):
        assert msgspec.msgpack.encode(entry)[-1] != 0


def test_a_crashed_request_keeps_what_was_known_when_it_opened_and_claims_nothing_else() -> None:
    record = crashed(opened("req_7"))
    assert (record.id, record.tenant, record.key, record.alias, record.backend) == (
        *("req_7", "acme", "app", "small", "gpu-a"),
    )
    assert (record.status, record.code, record.outcome) == (0, "crashed", "crashed")
    assert record.input_tokens is None
    assert record.snapshot == "d" * 64


def test_a_crashed_request_is_charged_its_last_hold() -> None:
    held = msgspec.structs.replace(opened("req_7"), held_input=100, held_output=50, held_nanos=9, end_user="u-1")
    record = crashed(msgspec.structs.replace(held, conversation="c", action="downgraded:small", project="support"))
    assert (record.charge_nanos, record.held_input, record.held_output, record.held_nanos) == (9, 100, 50, 9)
    assert (record.usage_from, record.end_user, record.conversation) == ("held", "u-1", "c")
    assert (record.action, record.project) == ("downgraded:small", "support")
    assert crashed(opened("req_8")).charge_nanos is None


attempts = st.builds(
    Attempt,
    *(TEXTS, TEXTS, TEXTS, TEXTS),
    loads=st.lists(NUMBERS, max_size=100),
    status=NUMBERS,
    code=TEXTS,
    sent_ms=st.floats(),
)
records = st.builds(
    Record,
    id=TEXTS,
    started_ns=NUMBERS,
    tenant=TEXTS,
    alias=TEXTS,
    attempts=st.lists(attempts, max_size=MAX_ATTEMPTS + 3),
    input_tokens=st.none() | NUMBERS,
    total_ms=st.floats(),
    caller_request_id=TEXTS,
    traceparent=TEXTS,
    conversation=TEXTS,
    end_user=TEXTS,
    charge_nanos=st.none() | NUMBERS,
    readings=st.lists(st.tuples(TEXTS, NUMBERS, NUMBERS), max_size=20),
    project=TEXTS,
    verdicts=TEXTS,
    judges=TEXTS,
)


@given(records)
def test_whatever_a_record_holds_it_can_be_capped_to_fit_and_read_back(record: Record) -> None:
    payload = msgspec.msgpack.encode(capped(record))
    assert len(payload) <= MAX_ENTRY_BYTES
    assert len(msgspec.msgpack.decode(payload, type=Record).attempts) <= MAX_ATTEMPTS


def test_the_longest_record_there_can_be_fits_an_entry() -> None:
    long, big = "\U0010ffff" * 1_000, 2**80
    attempt = Attempt(long, long, long, long, [big] * 1_000, big, long)
    record = a_record(**{name: long for name in Record.__struct_fields__ if isinstance(getattr(a_record(), name), str)})
    record.attempts = [attempt] * 1_000
    record.readings = [(long, big, big)] * 1_000
    record.charge_nanos = record.waste_tokens = record.waste_nanos = big
    record.held_input = record.held_output = record.held_nanos = big
    record.input_tokens = record.output_tokens = record.cached_input_tokens = record.reasoning_tokens = big
    assert len(msgspec.msgpack.encode(capped(record))) <= MAX_ENTRY_BYTES


def test_capping_keeps_the_first_attempt_and_the_last_ones() -> None:
    record = a_record(attempts=[Attempt(endpoint=str(number)) for number in range(100)])
    kept = [attempt.endpoint for attempt in capped(record).attempts]
    assert kept == ["0", *(str(number) for number in range(69, 100))]


def test_capping_a_small_record_changes_nothing() -> None:
    assert capped(a_record()) == a_record()
