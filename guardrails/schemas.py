"""JSON Schemas that an admin wrote, compiled once.

By jsonschema-rs (MIT; the extra `schema`): nothing is fetched for a `$ref`, and patterns are those of Rust's `regex`,
whose time is linear: one with back-references or looks around is refused when the schema is read. What time a schema
itself takes is its author's affair: alternatives of alternatives multiply.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final


class Schema:
    """Values are held to it. `format` is held to as well."""

    __slots__ = ("_validator",)

    def __init__(self, written: Mapping[str, object]) -> None:
        """Raises ValueError with the place in the schema, or if jsonschema-rs is not installed."""
        self._validator: Final = _validator(_as_json(written))

    def fits(self, value: object) -> bool:
        """Whether a value as `documents.read` gives it is valid. Half a surrogate pair fits nothing."""
        try:
            return bool(self._validator.is_valid(value))
        except ValueError:  # it cannot be handed over: UnicodeEncodeError, or no pattern could be decided
            return False


def _as_json(written: Mapping[str, object]) -> dict[str, Any]:
    try:
        return dict(json.loads(json.dumps(dict(written), default=dict, allow_nan=False)))
    except (TypeError, ValueError):
        raise ValueError("holds a value that JSON has no form for") from None
    except RecursionError:
        raise ValueError("is nested too deep") from None


def _validator(schema: dict[str, Any]) -> Any:
    try:
        import jsonschema_rs as rs
    except ImportError:
        raise ValueError("needs jsonschema-rs; install it with pip install 'lockgate[schema]'") from None
    try:
        return rs.validator_for(schema, offline=True, validate_formats=True, pattern_options=rs.RegexOptions())
    except rs.ValidationError as error:
        place = ".".join(map(str, error.instance_path))
        raise ValueError(f"{place + ': ' if place else ''}{error.message}") from None
