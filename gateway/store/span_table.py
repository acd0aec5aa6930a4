"""The part of a pass that is about agents' spans: what workers took becomes rows of a table. What becomes of its files
is in `day_table`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.clock import Clock
from gateway.store import manifest, span_rows, span_spool
from gateway.store.day_table import ClassOf, DayTable
from gateway.store.manifest import Manifest
from gateway.telemetry import agent_names, agent_spans
from gateway.telemetry.agent_spans import AgentSpan
from gateway.wire.otlp import request
from gateway.wire.otlp.sent import SentSpan

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PASS_SPANS: Final = 20_000
"""Taken in one pass, or those of one request more: bounds the memory of a writer that fell behind."""


class SpanTable(DayTable[AgentSpan]):
    """For one writer."""

    def __init__(
        self,
        state_dir: Path,
        database: Callable[[], DuckDBPyConnection],
        clock: Clock,
        class_of: ClassOf,
        *,
        moves: bool,
    ) -> None:
        folder = manifest.spans_folder(state_dir)
        super().__init__(folder, database, clock, class_of, span_rows, name="spans", moves=moves)
        self._state_dir = state_dir
        self.unreadable = 0
        """Files of the spool that nobody can read: dropped."""

    def added(self, now: Manifest) -> Manifest | None:
        """With what waits, or some of it; None when nothing does. Raises OSError."""
        taken = frozenset(now.spans_taken)
        spans = 0
        names: list[str] = []
        for path in span_spool.waiting(self._state_dir):
            if path.name in taken:
                path.unlink(missing_ok=True)  # stored by a keeper that was killed before it could remove it
                continue
            if spans >= PASS_SPANS:
                break
            found = self._of_file(path)
            spans += len(found)
            names.append(path.name)
            self.take(found)
        if not names:
            span_spool.forget_keys(self._state_dir)
            return None
        new = msgspec.structs.replace(now, spans=list(now.spans), spans_taken=names)
        self.write(new)
        return new

    def drop_taken(self, now: Manifest) -> None:
        """Removes what the published manifest says is stored."""
        folder = span_spool.folder(self._state_dir)
        for name in now.spans_taken:
            (folder / name).unlink(missing_ok=True)

    def _of_file(self, path: Path) -> list[AgentSpan]:
        try:
            head, body = span_spool.read(path)
            sent = request.spans(body, head.form, agent_names.kept)
            return [agent_spans.of(one, head.sender) for one in _once(sent)]
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is: what an agent sent must never stop the accounting
            self.unreadable += 1
            return []


def _once(sent: Iterable[SentSpan]) -> Iterable[SentSpan]:
    """Each span of one request once; those of several requests are told apart where files are merged."""
    return {(one.trace_id, one.span_id): one for one in sent}.values()
