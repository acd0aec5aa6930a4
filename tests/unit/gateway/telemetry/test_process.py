from __future__ import annotations

from gateway.telemetry.process import cpu_s, resident_bytes


def test_a_process_has_memory_and_has_used_time() -> None:
    assert resident_bytes() > 2**20
    assert 0 < cpu_s() <= cpu_s()
