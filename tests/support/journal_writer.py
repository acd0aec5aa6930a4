"""A worker's journal in a process of its own, to be killed: `python -m tests.support.journal_writer STATE_DIR`.

Serves made-up requests, several at once, as fast as it can, until it is killed. On stdout: a line `opened ID` **after**
each opening was written and `closed ID` after each end was; what stands there must be found in the journal.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

from gateway.clock import SystemClock
from gateway.store.ids import RequestIds
from gateway.store.journal import Journal
from gateway.store.layout import MIN_SEGMENT_BYTES
from gateway.store.records import Opened, Record


def main(state_dir: Path) -> None:
    journal = Journal.create(state_dir, 0, SystemClock(), segment_bytes=MIN_SEGMENT_BYTES)
    ids = RequestIds(os.urandom(5))
    running: list[str] = []
    draw = random.Random(os.getpid())
    while True:
        if running and draw.random() < 0.5:
            request = running.pop(draw.randrange(len(running)))
            journal.close(Record(id=request, status=200, outcome="answered", conversation="c" * draw.randrange(4_000)))
            os.write(1, f"closed {request}\n".encode())
        else:
            request = ids.next(time.time_ns())
            journal.open(Opened(request, time.time_ns(), "acme", "app", "chat", "small", "gpu-a"))
            running.append(request)
            os.write(1, f"opened {request}\n".encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
