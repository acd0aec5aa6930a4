"""What stands in a body, as the use cases take it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from gateway.control.service import Body


def said(body: BaseModel) -> Body:
    """What stands in a body, as it stands there; fields that are null are not."""
    return body.model_dump(exclude_unset=True, exclude_none=True)


def named(body: BaseModel) -> tuple[str, Body]:
    """The name of what is to be made, and the rest of its body."""
    document = said(body)
    return document.pop("name"), document


def patch_of(body: BaseModel) -> Body:
    """What a merge patch says: null takes a field away."""
    return {name: _plain(getattr(body, name)) for name in body.model_fields_set}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return said(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value
