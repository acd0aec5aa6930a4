"""gateway.runtime.background"""

from __future__ import annotations

import os
import threading

import pytest

from gateway.runtime import background


def niceness() -> int:
    """Of the thread that calls."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_a_thread_steps_back_and_the_one_that_made_it_does_not() -> None:
    before = niceness()
    with background.thread("reading") as executor:
        assert executor.submit(niceness).result() == min(19, before + background.STEPS)
    assert niceness() == before


def test_where_it_is_forbidden_work_is_done_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(steps: int) -> int:
        raise PermissionError(steps)

    monkeypatch.setattr(os, "nice", forbidden)
    with background.thread("reading") as executor:
        assert executor.submit(int, "7").result() == 7
