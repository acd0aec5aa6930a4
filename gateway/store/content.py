"""What was said in one request, as it is kept where a tenant's policy asks for it (`config.model_content`).

On its way it is in a content journal, locked with a key of that journal (`content_journal`); the keeper moves it into
files, locked with a key of its tenant and end user (`content_table`, `content_keys`). Nowhere is it in the clear.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

MOST_BYTES: Final = 256 * 1024
"""Kept of a request, and of its answer; the rest is left out, and `cut` says so."""
MASKED: Final = "masked"
FULL: Final = "full"


class Said(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One body: of a request, or of an answer as it was streamed."""

    data: bytes = b""
    size: int = 0
    """Bytes of all of it, before it was cut or masked."""
    content_type: str = ""
    cut: bool = False
    """Something of it is missing: its end, or all of it."""


class Content(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What was said in one request."""

    id: str
    """The request's."""
    started_ns: int
    tenant: str
    end_user: str
    endpoint: str
    how: str
    """MASKED or FULL."""
    days: int
    """How long it is kept."""
    wrap: str
    """`${NAME}` of what locks its key; empty: the state directory's secret."""
    request: Said
    answer: Said


class Locked(msgspec.Struct, frozen=True):
    """Content that is there and cannot be read."""

    why: str


def folder(state_dir: Path) -> Path:
    """Where all of it is."""
    return state_dir / "content"
