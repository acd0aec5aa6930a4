"""Structured log lines: one JSON object per line, with what must not be logged left out.

An event is a past-tense word with fields: `log.info("worker_started", slot=0)`. Values that look like a credential are
masked, fields that would hold one too, and fields that would hold a prompt or an answer are refused. The hot path logs
nothing: a request's line is derived from its record, elsewhere.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from gateway.clock import Clock

Level = Literal["debug", "info", "warning", "error"]
_ORDER: Final[Mapping[str, int]] = {"debug": 0, "info": 1, "warning": 2, "error": 3}

MASK: Final = "***"
LONGEST_TEXT: Final = 4_000
"""Characters kept of a value."""

SECRET_FIELDS: Final = frozenset(
    ("authorization", "proxy-authorization", "api_key", "apikey", "x-api-key", "secret", "password", "token", "cookie")
)
"""Fields whose value is masked whatever it is."""

CONTENT_FIELDS: Final = frozenset(
    (
        *("prompt", "prompts", "messages", "content", "message_content", "text", "input", "arguments"),
        *("completion", "choices", "delta", "answer", "body", "output", "tool_calls"),
    )
)
"""Fields that are left out: they would hold what a caller or a model said."""

_CREDENTIAL: Final = re.compile(
    r"(?i:\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}"  # a value of an authorization header
    r"|\b(?:sk|pk|rk|lg|lk|hf|gh[opsu]|xox[abp]|glpat|AKIA)[-_]?(?=[\w-]*\d)[\w-]{14,}"  # keys
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # a JSON web token
    r"|(?i:\b(?:api[-_]?key|authorization|password|secret|token)[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]{4,}"
    r"|(?<=://)[^\s/@]+:[^\s/@]+(?=@)"  # user and password in a URL
)


def redacted(text: str) -> str:
    """`text` with everything that looks like a credential masked, and cut to `LONGEST_TEXT`."""
    return _CREDENTIAL.sub(MASK, text[:LONGEST_TEXT])


class Timestamps:
    """Writes times as RFC 3339 in UTC with milliseconds; consecutive ones of a second share the work."""

    __slots__ = ("_prefix", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""

    def format(self, wall_ns: int) -> str:
        """`2026-01-31T23:59:59.123Z`."""
        second = wall_ns // 1_000_000_000
        if second != self._second:
            self._prefix = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
            self._second = second
        return f"{self._prefix}{wall_ns // 1_000_000 % 1_000:03d}Z"


class Log:
    """Writes lines of at least `level`. `write` gets whole lines as bytes; by default they go to stderr."""

    def __init__(
        self, clock: Clock, level: Level = "info", write: Callable[[bytes], object] | None = None, **fixed: object
    ) -> None:
        """`fixed` fields are in every line (the process's name, the worker's slot)."""
        self._clock = clock
        self._from = _ORDER[level]
        self._write = write or write_to_stderr
        self._fixed = fixed
        self._times = Timestamps()

    def debug(self, event: str, **fields: object) -> None:
        """For who looks into one installation."""
        self._log("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Something happened as it should."""
        self._log("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Something to look at; serving goes on as it was."""
        self._log("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Something that someone must act on."""
        self._log("error", event, fields)

    def bug(self, event: str, error: BaseException, **fields: object) -> None:
        """Our own failure, with its traceback."""
        lines = traceback.format_exception(error)
        self._log("error", event, {**fields, "traceback": "".join(lines)[-LONGEST_TEXT:]})

    def lines(self, lines: Sequence[object]) -> None:
        """Writes lines that were made elsewhere (and redacted there) in one piece, whatever the level.

        A line is anything msgspec encodes as a JSON object.
        """
        if lines:
            self._write(_ENCODER.encode_lines(lines))

    def _log(self, level: Level, event: str, fields: Mapping[str, object]) -> None:
        if _ORDER[level] >= self._from:
            time = self._times.format(self._clock.wall_ns())
            line = {"time": time, "level": level, "event": event, **clean(self._fixed), **clean(fields)}
            self._write(_ENCODER.encode(line) + b"\n")


def clean(fields: Mapping[str, object]) -> dict[str, object]:
    """Fields as they may be logged: content left out (its name stands in `left_out`), credentials masked."""
    kept: dict[str, object] = {}
    left_out: list[str] = []
    for name, value in fields.items():
        lower = name.lower()
        if lower in CONTENT_FIELDS:
            left_out.append(name)
        elif lower in SECRET_FIELDS:
            kept[name] = MASK
        else:
            kept[name] = _clean_value(value)
    if left_out:
        kept["left_out"] = left_out
    return kept


def _clean_value(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, BaseException):
        return redacted(f"{type(value).__name__}: {value}")
    if isinstance(value, Mapping):
        return clean({str(name): item for name, item in value.items()})
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean_value(item) for item in value]
    return redacted(value if isinstance(value, str) else str(value))


def write_to_stderr(line: bytes) -> None:
    """Unbuffered; a reader that is gone is not worth a failure."""
    try:
        os.write(2, line)
    except OSError:
        pass


_ENCODER: Final = msgspec.json.Encoder()
