"""gateway.runtime.worker_gauges"""

from __future__ import annotations

from pathlib import Path

from gateway.errors import ConnectFailed
from gateway.runtime import worker_gauges
from tests.support import gateway as support


def test_a_worker_says_what_it_runs_and_which_endpoints_it_holds_for_broken(tmp_path: Path) -> None:
    gateway = support.build(support.config({"far": ["http://a:1", "http://b:1"]}), tmp_path)
    try:
        gateway.in_flight, gateway.streams = 3, 2
        gateway.count_http_error("request_timeout")
        good, bad = gateway.backends["far"].endpoints
        good.view.outstanding = 3
        for _ in range(5):
            bad.tell(ConnectFailed("refused"), 1.0)
        gauges = worker_gauges.read(gateway)
    finally:
        gateway.journal.stop()
    assert (gauges.in_flight, gauges.streams, gauges.connections, gauges.journal_reserve_ok) == (3, 2, 0, True)
    assert gauges.resident_bytes > 0
    assert gauges.http_errors == {"request_timeout": 1}
    assert [(seen.endpoint, seen.outstanding, seen.breaker_open) for seen in gauges.endpoints] == [
        ("http://a:1", 3, False),
        ("http://b:1", 0, True),
    ]
