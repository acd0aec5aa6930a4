"""Paths of the Open Inference Protocol v2 under `/v2/models/`: which model, which version, what is asked of it.

A model's name may hold slashes, plain or as `%2F`. Read from the end: a plain `/infer`, `/ready` or
`/versions/{v}` belongs to the protocol; a name that ends so must write its own slashes as `%2F`.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from gateway.wire.models import id_of

PREFIX: Final = b"/v2/models/"

Action = Literal["infer", "ready", "metadata"]

_VERSION: Final = re.compile(rb"(.+)/versions/([^/]+)")
_PLAIN: Final = re.compile(rb"[^A-Za-z0-9._~-]")


class Target(msgspec.Struct, frozen=True, gc=False):
    """What a path asks."""

    alias: str
    version: str
    """"" for the model's default."""
    action: Action


def target(path: bytes) -> Target | None:
    """The target of a raw path that begins with `PREFIX`; None when it names no model."""
    rest = path.removeprefix(PREFIX)
    action: Action = "metadata"
    if rest.endswith(b"/infer"):
        rest, action = rest[:-6], "infer"
    elif rest.endswith(b"/ready"):
        rest, action = rest[:-6], "ready"
    match = _VERSION.fullmatch(rest)
    version: str | None = ""
    if match is not None:
        rest, version = match[1], id_of(match[2])
    alias = id_of(rest)
    if alias is None or version is None:
        return None
    return Target(alias, version, action)


def path(served_model: str, version: str, action: Action) -> bytes:
    """The path for a server of the protocol."""
    parts = [PREFIX, _quoted(served_model)]
    if version:
        parts += (b"/versions/", _quoted(version))
    if action != "metadata":
        parts += (b"/", action.encode())
    return b"".join(parts)


def _quoted(name: str) -> bytes:
    return _PLAIN.sub(lambda found: b"%%%02X" % found[0][0], name.encode())
