"""GET /v1/models and GET /v1/models/{id} in OpenAI's shape."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

OWNER: Final = "lockgate"

_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")

_encode: Final = msgspec.json.Encoder().encode


class _Model(msgspec.Struct):
    id: str
    created: int
    owned_by: str = OWNER
    object: str = "model"
    kind: str | msgspec.UnsetType = msgspec.UNSET


class _List(msgspec.Struct):
    data: list[_Model]
    object: str = "list"


def render_list(models: Iterable[tuple[str, bool]], created_s: int) -> bytes:
    """The models a caller may use, in the order given, each with whether it is a classic one (asked under /v2, which
    OpenAI's shape has no word for: `"kind": "classic"`). `created_s` (Unix seconds) is when the configuration naming
    them was loaded.
    """
    return _encode(_List([_model(alias, classic, created_s) for alias, classic in models]))


def render_one(alias: str, classic: bool, created_s: int) -> bytes:
    """One model."""
    return _encode(_model(alias, classic, created_s))


def _model(alias: str, classic: bool, created_s: int) -> _Model:
    return _Model(alias, created_s, kind="classic" if classic else msgspec.UNSET)


def id_of(path_rest: bytes) -> str | None:
    """The model named by what follows `/v1/models/` in the raw path, percent-encoded or not: slashes belong to the id.
    None when it names none.
    """
    try:
        return _ESCAPE.sub(lambda escape: bytes.fromhex(escape[1].decode()), path_rest).decode() or None
    except UnicodeDecodeError:
        return None
