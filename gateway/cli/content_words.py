"""What is said, in a terminal: a tenant's policy as it is written (`masked`, `full 90`, `none`), and what is kept of a
request. Pure."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from gateway.cli.admin_table import MOST_CHARS, NOTHING, Item
from gateway.cli.terminal import visible

if TYPE_CHECKING:
    from gateway.store.content import Content, Locked, Said


def policy(given: str) -> Item | None:
    """The section; None for `none`. Raises ValueError."""
    if given == "none":
        return None
    found = re.fullmatch(r"(masked|full)(?: +([0-9]{1,4}))?(?: +(\$\{[A-Za-z_][A-Za-z0-9_]*\}))?", given)
    if found is None:
        raise ValueError("write masked, full or none, and behind it the days and ${NAME} of a key, as `masked 90`")
    record, days, key = found.groups()
    return {"record": record, **({"retention_days": int(days)} if days else {}), **({"key": key} if key else {})}


def said(content: Item | None) -> str:
    """A section in words."""
    if not content:
        return NOTHING
    return f"{content['record']}, {content.get('retention_days', 30)} days"


def plain(found: Content | Locked) -> Item:
    """As a program takes it: bodies as JSON where they are, else as text."""
    from gateway.store.content import Locked

    if isinstance(found, Locked):
        return {"locked": found.why}
    return {"how": found.how, "request": _body(found.request), "answer": _body(found.answer)}


def lines(found: Content | Locked) -> Iterator[str]:
    """As people read it."""
    from gateway.store.content import Locked

    yield ""
    if isinstance(found, Locked):
        yield from textwrap.wrap(visible(f"locked: {found.why}"), MOST_CHARS)
        return
    for name, said in (("request", found.request), ("answer", found.answer)):
        cut = f", of which {len(said.data):,} are kept" if said.cut else ""
        yield f"{name} ({found.how}, {said.size:,} bytes{cut})"
        body = _body(said)["body"]
        text = body if isinstance(body, str) else json.dumps(body, indent=2, ensure_ascii=False)
        for line in text.splitlines():
            yield from textwrap.wrap(visible(line), MOST_CHARS - 2, initial_indent="  ", subsequent_indent="  ") or [""]


def _body(said: Said) -> Item:
    try:
        body = msgspec.json.decode(said.data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = said.data.decode("utf-8", "replace")
    return {"body": body, "bytes": said.size, "cut": said.cut}
