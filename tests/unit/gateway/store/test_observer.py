from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.store.observer import Observer
from gateway.telemetry.gauges import EndpointGauges, WorkerGauges
from tests.support.journals import a_journal, a_record, dead_copy, fill, opened, recovered
from tests.support.ledgers import update


def samples(observer: Observer) -> dict[str, float]:
    """Samples of a scrape: name and labels as they are written → value."""
    content_type, body = observer.scrape()
    assert content_type.startswith("text/plain")
    return {
        sample.name + "".join(f" {label}={value}" for label, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


@pytest.fixture
def observer(tmp_path: Path) -> Observer:
    return Observer(tmp_path, "1.2.3")


def test_a_request_is_a_line_and_a_count_once(tmp_path: Path, observer: Observer) -> None:
    journal = a_journal(tmp_path)
    journal.open(opened("req_1"))
    journal.close(a_record("req_1"))
    assert [line.id for line in observer.poll()] == ["req_1"]
    assert observer.poll() == []
    found = samples(observer)
    requests = "lockgate_requests_total backend=gpu-a code=ok endpoint=chat model=small outcome=answered tenant=acme"
    assert found[requests] == 1
    assert found["lockgate_records_opened_total"] == found["lockgate_records_closed_total"] == 1
    assert found["lockgate_tokens_total class=output model=small tenant=acme"] == 34
    journal.stop()


def test_without_an_access_log_records_are_counted_all_the_same(tmp_path: Path) -> None:
    observer = Observer(tmp_path, "1", access_log=False)
    journal = a_journal(tmp_path)
    journal.add(a_record("req_1"))
    assert observer.poll() == []
    assert samples(observer)["lockgate_records_closed_total"] == 1
    journal.stop()


def test_workers_that_come_and_go_are_followed(tmp_path: Path, observer: Observer) -> None:
    for slot in range(3):
        journal = a_journal(tmp_path, slot=slot)
        journal.add(a_record(f"req_{slot}"))
        assert [line.id for line in observer.poll()] == [f"req_{slot}"]
        journal.stop()
        recovered(journal.directory)
        assert observer.poll() == []
    assert samples(observer)["lockgate_records_closed_total"] == 3


def test_a_dead_worker_is_a_gap_until_it_is_recovered(tmp_path: Path, observer: Observer) -> None:
    journal = a_journal(tmp_path / "elsewhere")
    journal.open(opened("req_1"))
    directory = dead_copy(journal, tmp_path)
    journal.stop()
    assert observer.poll() == []
    assert samples(observer)["lockgate_records_gap"] == 1
    recovered(directory)
    (line,) = observer.poll()
    assert (line.id, line.outcome) == ("req_1", "crashed")
    found = samples(observer)
    assert found["lockgate_records_gap"] == 0
    assert found["lockgate_records_recovered_total"] == 1
    assert found["lockgate_records_closed_total"] == 0


def test_a_running_request_is_no_gap(tmp_path: Path, observer: Observer) -> None:
    journal = a_journal(tmp_path)
    journal.open(opened("req_1"))
    observer.poll()
    assert samples(observer)["lockgate_records_gap"] == 0
    journal.stop()


def test_of_the_run_before_only_what_recovery_closes_is_counted(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "elsewhere")
    journal.add(a_record("req_reported_by_the_run_before"))
    journal.open(opened("req_crashed"))
    directory = dead_copy(journal, tmp_path)
    journal.stop()
    observer = Observer(tmp_path, "1")
    assert observer.poll() == []
    recovered(directory)
    assert [line.id for line in observer.poll()] == ["req_crashed"]
    assert observer.poll() == []
    found = samples(observer)
    assert found["lockgate_records_opened_total"] == found["lockgate_records_recovered_total"] == 1
    assert found["lockgate_records_gap"] == 0


def test_a_recovered_run_before_is_passed_over(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.open(opened("req_1"))
    journal.stop()
    recovered(journal.directory)
    observer = Observer(tmp_path, "1")
    assert observer.poll() == []
    assert samples(observer)["lockgate_records_opened_total"] == 0


def test_a_poll_stops_at_its_limit_and_the_next_goes_on(tmp_path: Path, observer: Observer) -> None:
    journal = a_journal(tmp_path)
    count = fill(journal, segments=8)
    first = observer.poll(limit=1)
    assert observer.behind
    assert 0 < len(first) < count
    rest = []
    while observer.behind:
        rest += observer.poll(limit=50)
    assert len(first) + len(rest) == count
    journal.stop()


def test_damage_is_counted(tmp_path: Path, observer: Observer) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record("req_1"))
    with (journal.directory / "000001.seg").open("r+b") as file:
        file.seek(60)
        file.write(b"\xff")
    observer.poll()
    assert samples(observer)["lockgate_journal_damaged_total"] == 1
    journal.stop()


def test_journals_are_kept_within_their_size(tmp_path: Path) -> None:
    observer = Observer(tmp_path, "1", retention_bytes=0)
    journal = a_journal(tmp_path)
    fill(journal, segments=2)
    observer.tidy()
    assert samples(observer)["lockgate_journal_dropped_segments_total"] == 0  # not read yet
    observer.poll(limit=100_000)
    update(tmp_path)
    observer.tidy()
    found = samples(observer)
    assert found["lockgate_journal_dropped_segments_total"] == 2
    assert found["lockgate_journal_dropped_bytes_total"] == 2 * 128 * 1024
    journal.stop()


def test_what_workers_say_of_themselves_is_shown(observer: Observer) -> None:
    for slot, outstanding in ((0, 3), (1, 4)):
        seen = EndpointGauges("gpu-a", "http://a", outstanding, breaker_open=slot == 0)
        observer.status.worker(slot).started()
        observer.beat(slot, WorkerGauges(in_flight=slot + 1, cpu_s=2.5, endpoints=[seen]).flat(), loop_lag_ms=4.0)
    found = samples(observer)
    assert found["lockgate_endpoint_outstanding backend=gpu-a endpoint=http://a"] == 7
    assert found["lockgate_endpoint_breaker_open backend=gpu-a endpoint=http://a"] == 0.5
    assert found["lockgate_requests_in_flight worker=1"] == 2
    assert found["lockgate_loop_lag_seconds worker=0"] == 0.004
    assert found["lockgate_worker_cpu_seconds_total worker=1"] == 2.5
    observer.close()
