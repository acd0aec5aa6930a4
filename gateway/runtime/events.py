"""What the processes of the gateway say about themselves: one JSON line per event on stderr, fields instead of
sentences.

Events are few (starts, ends, reloads, faults). Requests are not logged here: their lines are derived from the journals.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Literal

import msgspec

Level = Literal["debug", "info", "warning", "error"]

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_logger = logging.getLogger("lockgate")


class _Lines(logging.Formatter):
    """One line of JSON for each record, those of libraries (uvicorn, asyncio) included."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "event": record.getMessage() if record.name == _logger.name else record.name,
        }
        if record.name != _logger.name:
            line["message"] = record.getMessage()
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(record.exc_info[1]))
        return msgspec.json.encode(line, enc_hook=str).decode()


def configure(level: Level, process: str) -> None:
    """Sends this process's events of at least `level` to stderr, under its name; libraries speak from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(process))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    _logger.setLevel(_LEVELS[level])


def event(level: Level, name: str, **fields: object) -> None:
    """Says that something happened. Fields hold no prompt, answer or secret."""
    _logger.log(_LEVELS[level], name, extra={"fields": fields})


def bug(name: str, error: BaseException | None, **fields: object) -> None:
    """Says that something of ours failed in a way we did not foresee, with its traceback."""
    _logger.error(name, exc_info=error, extra={"fields": fields})
