"""Content for tests: what was said in requests that differ only in what a test is about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from gateway.clock import ManualClock
from gateway.store.content import Content, Said
from gateway.store.content_journal import ContentJournal
from gateway.store.content_table import ContentTable
from tests.support.journals import STARTED_NS

SECRET = b"s" * 32
TEXT = b"my secret plan"


def a_state_dir(folder: Path) -> Path:
    """With a secret, as a gateway makes one."""
    (folder / "secret").write_bytes(SECRET)
    return folder


def a_content(request_id: str = "req_1", **fields: Any) -> Content:
    made = Content(
        *(request_id, STARTED_NS, "acme", "joe", "chat", "full", 30, ""),
        Said(TEXT, len(TEXT), "application/json"),
        Said(b"an answer to that", 17),
    )
    return msgspec.structs.replace(made, **fields)


def a_content_journal(state_dir: Path, slot: int = 0) -> ContentJournal:
    return ContentJournal.create(state_dir, slot, ManualClock())


def moved(state_dir: Path, environ: dict[str, str] | None = None) -> ContentTable:
    """What a pass of the keeper leaves; it is closed."""
    table = ContentTable(state_dir, ManualClock(), environ or {})
    while table.add():
        pass
    table.close()
    return table


def in_any_file(folder: Path, text: bytes) -> list[str]:
    """The files under a folder that hold these bytes."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]


def body_of(data: bytes) -> Any:
    """JSON that was kept."""
    return json.loads(data)
