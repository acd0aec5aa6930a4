"""Whatever happens to a file of the spool: it is read as it was kept, or told, and never stops the keeper."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import ManualClock
from gateway.store import span_spool
from gateway.store.ledger import Ledger
from gateway.store.span_spool import Spool
from tests.support.agent_spans import SENDER, a_span, as_json
from tests.support.journals import STARTED_NS

BODY = as_json([a_span("b7ad6b7169203331")])


@given(
    st.booleans(),
    st.integers(0, 2_000),
    st.sampled_from(["write", "cut", "remove", "insert"]),
    st.binary(min_size=1, max_size=30),
)
def test_a_file_that_was_damaged_is_dropped_and_counted(locked: bool, at: int, how: str, junk: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state_dir = Path(folder)
        Spool(state_dir, 0).keep(SENDER, "json", BODY)
        (path,) = span_spool.waiting(state_dir)
        if not locked:  # as it waits where cryptography is not installed
            head = span_spool._encode(span_spool.Head(SENDER, "json"))
            path.unlink()
            path = path.with_name(f"0-{SENDER.request}.otlp")
            path.write_bytes(len(head).to_bytes(4, "little") + head + BODY)
        data = path.read_bytes()
        at %= len(data) + 1
        kept = {"write": len(junk), "cut": len(data), "remove": len(junk), "insert": 0}[how]
        damaged = data[:at] + (junk if how in ("write", "insert") else b"") + data[at + kept :]
        path.write_bytes(damaged)
        try:
            head_read, body = span_spool.read(path)
        except ValueError:
            pass
        else:
            assert not locked or (damaged, head_read.sender, body) == (data, SENDER, BODY)
        ledger = Ledger(state_dir, ManualClock(wall_ns=STARTED_NS))
        assert ledger.add_spans()
        assert not ledger.add_spans()
        assert span_spool.waiting(state_dir) == []
        assert not locked or ledger.spans_unreadable == (damaged != data)
        ledger.close()
