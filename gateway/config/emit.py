"""Our sections as the YAML text of a configuration file. Pure.

Every text but plain names stands in double quotes, so that no reader can take one for something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n"))
_FLOW_CHARS = 90


def yaml_text(sections: Mapping[str, Any]) -> str:
    """The sections as YAML: maps in block style, small ones and lists in flow style."""
    return "\n".join(_map(sections, "")) + "\n"


def _map(entries: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in entries.items():
        flow = _flow(value)
        if (
            isinstance(value, dict)
            and value
            and (indent == "" or len(indent) + len(flow) > _FLOW_CHARS or len(value) > 2)
        ):
            yield f"{indent}{_scalar(key)}:"
            yield from _map(value, indent + "  ")
        else:
            yield f"{indent}{_scalar(key)}: {flow}"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
