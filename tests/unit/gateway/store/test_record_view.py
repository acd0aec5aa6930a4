from __future__ import annotations

from gateway.store.record_rows import COLUMNS
from gateway.store.record_view import named
from gateway.store.records import Attempt, Record
from tests.support.journals import STARTED_NS, a_record


def test_every_column_is_there_under_its_name_and_the_time_is_one_that_people_read() -> None:
    shown = named(
        a_record(traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", readings=[("m", 1, 2)])
    )
    assert list(shown) == [column.name for column in COLUMNS]
    assert (shown["started"], shown["started_ns"]) == ("2027-01-15T08:00:00.123Z", STARTED_NS)
    assert shown["trace"] == "0af7651916cd43dd8448eb211c80319c"
    assert shown["model"] == "small"
    assert shown["readings"] == [{"meter": "m", "used": 1, "cap": 2}]
    assert (shown["attempts"][0]["endpoint"], shown["attempts"][0]["loads"]) == ("http://vllm-0:8000", [0, 1])


def test_what_follows_an_attempt_is_under_a_name_that_is_no_word_of_sql() -> None:
    assert named(Record(attempts=[Attempt(then="attempts_spent")]))["attempts"][0]["followed_by"] == "attempts_spent"


def test_what_is_not_known_stays_unknown() -> None:
    shown = named(Record())
    assert (shown["input_tokens"], shown["charge_usd_nanos"], shown["attempts"], shown["trace"]) == (None, None, [], "")
