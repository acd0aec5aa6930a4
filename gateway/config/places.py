"""Where every entry of a merged configuration stands, and how a problem is shown there. Pure."""

from __future__ import annotations

from typing import NamedTuple

from gateway.config.lines import KnownKeys
from gateway.config.nodes import Node
from gateway.config.shape import Path, dotted


class Finding(NamedTuple):
    """Something wrong at `path`; `other` is a second place that it contradicts, if there is one."""

    path: Path
    message: str
    other: Path | None = None


class Places:
    """The merged tree of nodes, with what came from JSON lines, flags and the environment beside it."""

    def __init__(self) -> None:
        self.root = Node({}, "", 0)
        self.lines: dict[Path, tuple[str, int]] = {}
        """File and line of entries from JSON lines."""
        self.keys: KnownKeys = {}
        """The lines of keys that the next load need not read again."""
        self.overridden: dict[Path, str] = {}
        """The flag or variable that set an entry."""

    def find(self, path: Path) -> str:
        """`file:line`, a flag or a variable: of the entry, or of the nearest one around it; empty if nothing is
        known."""
        for length in range(len(path), 0, -1):
            if known := self.overridden.get(path[:length]):
                return known
            if line := self.lines.get(path[:length]):
                return f"{line[0]}:{line[1]}"
        node, place = self.root, ""
        for part in path:
            if isinstance(part, str) and isinstance(node.value, dict) and part in node.value:
                place, node = node.key_place(part), node.value[part]
            elif isinstance(part, int) and isinstance(node.value, list) and part < len(node.value):
                node = node.value[part]
                place = node.place
            else:
                break
        return place

    def show(self, finding: Finding) -> str:
        """A finding as one line: its place, its path, what it is about, and the other place."""
        return self.line(self.find(finding.path), finding.path, finding.message, finding.other)

    def line(self, place: str, path: Path, message: str, other: Path | None = None) -> str:
        """The same for a mistake whose place is known."""
        there = f" (see also {self.find(other)}: {dotted(other)})" if other else ""
        return ": ".join(part for part in (place, dotted(path), message) if part) + there
