from __future__ import annotations

from gateway.cli.records_table import listed, whole
from gateway.store.record_view import named
from gateway.store.records import Attempt, Record
from tests.support.journals import a_record


def test_nothing_is_listed_of_nothing() -> None:
    assert list(listed([])) == []


def test_what_is_not_known_is_a_dash_and_an_id_stays_whole() -> None:
    one = "req_019b0a1c2d3e5f3a9c1e7700000007"
    *_, row, _ = listed([named(Record(id=one, code="crashed", total_ms=123_456.0))])
    assert row.split() == ["00:00:00", one, "–", "–", "crashed", "123.5", "s", "–"]


def test_one_request_says_what_is_known_and_leaves_out_the_rest() -> None:
    lines = list(whole(named(a_record(charge_nanos=15_600, stream=True))))
    assert lines[0] == "req_1: 200 ok, answered, 80 ms, 12→34 tokens, $0.000016"
    assert any(line.split() == ["stream", "yes"] for line in lines)
    assert not any(line.split()[0] in ("project", "waste_tokens") for line in lines)


def test_long_texts_are_folded() -> None:
    tried = Attempt("b" * 60, "http://" + "e" * 60, loads=list(range(40)), then="attempts_spent")
    lines = list(whole(named(a_record(attempts=[tried], verdicts=" ".join(["input:pii:PHONE:mask:1.00:2"] * 9)))))
    assert max(map(len, lines)) <= 100
    assert lines[-1].endswith("attempts_spent")
