"""What an import says (what was lost, what was assumed, which secrets to set), and how a foreign file is read. Pure.

A loss is a setting that has no effect any more. A note is a choice the reader should know of. A secret is never kept,
only the name of the variable that must hold it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from gateway.config.nodes import Node
from gateway.config.shape import Path

METERS = "there is no limit or budget of this kind (configs/README.md, Prices and meters)"
PRICES = "there is no price of this kind: tokens by class, and requests, have prices"

_REFERENCE = re.compile(r"os\.environ/([A-Za-z_][A-Za-z0-9_]*)")


class Line(NamedTuple):
    """Something to say about one entry: where it stands (`file:line`), its path, and a sentence."""

    place: str
    path: Path
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {_shown(self.path)}: {self.message}"


def _shown(path: Path) -> str:
    """`model_list[0].litellm_params.rpm`; unlike `shape.dotted`, long names of settings are not taken for secrets."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if re.fullmatch(r"[\w-]+", part) else json.dumps(part)
            text += f".{name}" if text else name
    return text


class Report:
    """Everything to say, in the order it was found."""

    def __init__(self, root: Node | None = None) -> None:
        self.losses: list[Line] = []
        self.notes: list[Line] = []
        self.secrets: dict[str, Line] = {}
        """The variables that must be set before the gateway starts, with where their values stand now."""
        self._names: dict[str, str] = {}
        self._referred = set() if root is None else set(_references(root))

    def lost(self, node: Node, path: Path, message: str) -> None:
        self.losses.append(Line(node.place, path, message))

    def note(self, node: Node, path: Path, message: str) -> None:
        self.notes.append(Line(node.place, path, message))

    def secret(self, node: Node, path: Path, wanted: str) -> str:
        """`${NAME}` for a value that may be a secret: the variable it refers to, or one called like `wanted` that the
        reader must set. The same value gets the same name."""
        text = str(node.value)
        found = _REFERENCE.fullmatch(text)
        if found:
            return f"${{{found[1]}}}"
        name = self._names.get(text)
        if name is None:
            base = re.sub(r"[^A-Z0-9]+", "_", wanted.upper()).strip("_")
            name, number = base, 2
            while name in self.secrets or name in self._referred:
                name, number = f"{base}_{number}", number + 1
            self._names[text] = name
            self.secrets[name] = Line(node.place, path, f"set {name} to the secret that stands here")
        return f"${{{name}}}"


def _references(node: Node) -> Iterator[str]:
    """The variables that a tree refers to."""
    if isinstance(node.value, dict | list):
        for child in node.value.values() if isinstance(node.value, dict) else node.value:
            yield from _references(child)
    elif isinstance(node.value, str):
        yield from _REFERENCE.findall(node.value)


def resolved(value: object, environ: Mapping[str, str]) -> str | None:
    """A text with its `os.environ/NAME` looked up; None when the variable is not set here, or it is no text."""
    if not isinstance(value, str):
        return None
    found = _REFERENCE.fullmatch(value)
    return environ.get(found[1]) if found else value


def is_reference(value: object) -> bool:
    return isinstance(value, str) and _REFERENCE.fullmatch(value) is not None


def says_nothing(node: Node) -> bool:
    """A switch that is off, or nothing at all: leaving it out loses nothing."""
    return node.value is None or node.value is False or node.value in ("", {}, [])


def members(node: Node | None, path: Path, report: Report) -> dict[str, Node]:
    """The entries of a map, with YAML's `<<` merged in; a loss and nothing for anything else."""
    if node is None or node.value is None:
        return {}
    if not isinstance(node.value, dict):
        report.lost(node, path, "expected a map")
        return {}
    merged: dict[str, Node] = {}
    below = node.value.get("<<")
    if below is not None:
        for each in below.value if isinstance(below.value, list) else [below]:
            merged = {**members(each, path, report), **merged}
    return {**merged, **{key: value for key, value in node.value.items() if key != "<<"}}


def items(node: Node | None, path: Path, report: Report) -> Iterator[tuple[Path, Node]]:
    """The entries of a list with their paths; a loss and nothing for anything else."""
    if node is None or node.value is None:
        return
    if not isinstance(node.value, list):
        report.lost(node, path, "expected a list")
        return
    for index, item in enumerate(node.value):
        yield (*path, index), item


def holds(kind: object, value: str) -> bool:
    """Whether a text is what one of our types allows."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def words(text: str) -> tuple[str, ...]:
    """The words of a text: long lists of names read better as one."""
    return tuple(text.split())


def named(text: str, most: int = 64) -> str:
    """A name of ours out of any text: letters, digits, '.', '_' and '-', a letter or digit first."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:most].rstrip("-._") or "unnamed"


def unused(name: str, taken: Mapping[str, object] | set[str], separator: str = "-") -> str:
    """`name`, or with the first number behind it that is free."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}{separator}{number}", number + 1
    return free
