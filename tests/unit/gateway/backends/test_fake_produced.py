from __future__ import annotations

from gateway.backends import fake_produced
from gateway.backends.fake_produced import Produced


def test_each_time_an_id_comes_has_an_entry_of_its_own_in_order() -> None:
    produced = Produced()
    for tokens in (3, 5):
        produced.begin("req_1", 1.0).output_tokens = tokens
    assert [entry.output_tokens for entry in produced.table()["req_1"]] == [3, 5]


def test_a_request_without_an_id_is_counted_nowhere() -> None:
    produced = Produced()
    produced.begin("", 1.0).output_tokens = 3
    assert produced.table() == {}


def test_the_oldest_ids_are_dropped() -> None:
    produced = Produced()
    for number in range(fake_produced.KEPT_REQUESTS + 2):
        produced.begin(str(number), 1.0)
    assert len(produced.table()) == fake_produced.KEPT_REQUESTS
    assert "1" not in produced.table()
    assert "2" in produced.table()


def test_what_runs_is_not_forgotten() -> None:
    produced = Produced()
    produced.begin("done", 1.0).ended = "answered"
    produced.begin("runs", 1.0)
    produced.clear()
    assert list(produced.table()) == ["runs"]
