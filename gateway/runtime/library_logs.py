"""What libraries log (uvicorn, asyncio) goes where our own events go, in the same form, from warnings on."""

from __future__ import annotations

import logging

from gateway.telemetry.logs import Log


class _Forward(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields = {"library": record.name, "message": record.getMessage()}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            self._log.bug("library_error", error, **fields)
        elif record.levelno >= logging.ERROR:
            self._log.error("library_error", **fields)
        else:
            self._log.warning("library_warning", **fields)


def forward(log: Log) -> None:
    """From now on, in this process."""
    logging.basicConfig(level=logging.WARNING, handlers=[_Forward(log)], force=True)
