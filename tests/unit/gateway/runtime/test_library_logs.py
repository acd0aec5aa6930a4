"""gateway.runtime.library_logs"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.clock import ManualClock
from gateway.runtime import library_logs
from gateway.telemetry.logs import Log


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What was logged; the handlers of the process are put back afterwards."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    root.handlers = []  # pytest's own stay out of it
    found: list[dict[str, Any]] = []
    library_logs.forward(Log(ManualClock(), write=lambda line: found.append(json.loads(line))))
    yield found
    root.handlers, root.level = before, level


def test_a_warning_of_a_library_is_a_line_like_ours(lines: list[dict[str, Any]]) -> None:
    logging.getLogger("uvicorn.error").warning("odd %s", "thing")
    (line,) = lines
    assert (line["level"], line["event"], line["library"], line["message"]) == (
        "warning",
        "library_warning",
        "uvicorn.error",
        "odd thing",
    )


def test_an_exception_in_a_library_keeps_its_traceback(lines: list[dict[str, Any]]) -> None:
    try:
        raise ValueError("seen")
    except ValueError as error:
        logging.getLogger("asyncio").error("in a callback", exc_info=error)
    (line,) = lines
    assert (line["level"], line["event"]) == ("error", "library_error")
    assert "ValueError: seen" in line["traceback"]


def test_chatter_is_not_logged(lines: list[dict[str, Any]]) -> None:
    logging.getLogger("uvicorn.error").info("started")
    assert lines == []
