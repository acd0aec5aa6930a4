"""YAML and JSON text to a tree of values that know their lines; nothing here knows what the values mean.

YAML is read from libyaml's events, not composed by PyYAML: that keeps line numbers and duplicate keys, cannot recurse
into a crash, and lets scalars follow YAML 1.2's core rules, so that `no` and `12:30` are the text they look like.
Anchors and aliases work, but what they unfold to is bounded; tags and several documents are refused. All problems are
`Unreadable`, with the line.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from gateway.config.units import shown

MAX_DEPTH = 24
MAX_NODES = 500_000
MAX_DIGITS = 18

_INT = re.compile(r"[-+]?[0-9]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?", re.ASCII)
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class Unreadable(Exception):
    """Text that is not the YAML or JSON we take; `line` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(slots=True)
class Node:
    """A value with its place. `value` is a dict of nodes, a list of nodes, or a plain scalar (None, bool, int, float,
    str).

    `key_lines` has the line of each key of a dict; `size` is how many nodes it unfolds to, itself included. `file` is
    a file's name, or the flag or variable that the value came from (then `line` is 0).
    """

    value: Any
    file: str
    line: int
    key_lines: dict[str, int] = field(default_factory=dict)
    size: int = 1

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file

    def key_place(self, key: str) -> str:
        """Where a key of this dict stands (its value's file: a merged dict has parts from several)."""
        node: Node = self.value[key]
        return f"{node.file}:{self.key_lines[key]}" if key in self.key_lines else node.place


def scalar(text: str) -> bool | int | float | str | None:
    """What an unquoted scalar means: null, true/false, a decimal number, or else text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text) if len(text) <= MAX_DIGITS else float(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def from_yaml(text: str, file: str) -> Node:
    """One YAML document; an empty one is a null node."""
    builder = _Builder(file)
    try:
        for event in yaml.parse(text, Loader=yaml.CLoader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or "not YAML"
        if "cannot start any token" in problem:
            problem += " (a tab, or one of @ ` % : put it in quotes; indent with spaces)"
        raise Unreadable(mark.line + 1 if mark else 1, problem) from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise Unreadable(1, f"not YAML: {shown(str(error).splitlines()[0])}") from error
    return builder.root or Node(None, file, 1)


def from_json(text: str, file: str, line: int) -> Node:
    """One JSON value of a JSON-lines file: everything is on `line`."""
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        problem = error.msg if isinstance(error, json.JSONDecodeError) else "a number too large, or nested too deeply"
        raise Unreadable(line, f"not JSON: {problem}") from error
    return _json_node(pairs, file, line, 0)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object's members in order, duplicates included."""


def _json_node(value: Any, file: str, line: int, depth: int) -> Node:
    if depth > MAX_DEPTH:
        raise Unreadable(line, f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, _Pairs):
        members: dict[str, Node] = {}
        for key, item in value:
            if key in members:
                raise Unreadable(line, f"the key {shown(key)} is there twice")
            members[key] = _json_node(item, file, line, depth + 1)
        return Node(members, file, line, dict.fromkeys(members, line))
    if isinstance(value, list):
        return Node([_json_node(item, file, line, depth + 1) for item in value], file, line)
    if isinstance(value, str) and not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise Unreadable(line, "half of a surrogate pair is not a character")
    return Node(value, file, line)


def _refuse_constant(word: str) -> None:
    raise json.JSONDecodeError(f"{word} is not JSON", word, 0)


class _Builder:
    """Takes parse events in order and builds the tree with an explicit stack of open collections."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Node | None = None
        self.open: list[tuple[Node, str | None]] = []  # the collection, and the anchor it will get when it is whole
        self.keys: list[tuple[str, int] | None] = []  # for each open dict: the key that waits for its value
        self.anchors: dict[str, Node] = {}

    def take(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1 if event.start_mark else 1
        match event:
            case yaml.ScalarEvent():
                self._refuse_tag(event.tag, line)
                value = scalar(event.value) if event.implicit[0] else event.value  # else quoted
                self._add(Node(value, self.file, line), event.anchor, plain_key=event.value)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._refuse_tag(event.tag, line)
                if len(self.open) >= MAX_DEPTH:
                    raise Unreadable(line, f"nested deeper than {MAX_DEPTH} levels")
                self._refuse_as_key(line)
                empty: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
                self.open.append((Node(empty, self.file, line), event.anchor))
                self.keys.append(None)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                node, anchor = self.open.pop()
                self.keys.pop()
                self._add(node, anchor)
            case yaml.AliasEvent():
                if event.anchor not in self.anchors:
                    raise Unreadable(line, f"the alias *{event.anchor} has no anchor before it (or is inside it)")
                self._refuse_as_key(line)
                self._add(self.anchors[event.anchor], None)
            case yaml.DocumentStartEvent():
                if self.root is not None:
                    raise Unreadable(line, "a second document: a file holds one (remove the --- line)")

    def _add(self, node: Node, anchor: str | None, plain_key: str = "") -> None:
        """Puts a whole node where it belongs: the root, the next item, a key or a key's value."""
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.open:
            self.root = node
            return
        parent = self.open[-1][0]
        if isinstance(parent.value, list):
            parent.value.append(node)
        elif (key := self.keys[-1]) is None:
            if plain_key in parent.key_lines:
                first = parent.key_lines[plain_key]
                raise Unreadable(node.line, f"the key {shown(plain_key)} is there twice, first on line {first}")
            self.keys[-1] = (plain_key, node.line)
            return
        else:
            parent.value[key[0]] = node
            parent.key_lines[key[0]] = key[1]
            self.keys[-1] = None
        parent.size += node.size
        if parent.size > MAX_NODES:
            raise Unreadable(node.line, f"more than {MAX_NODES} values, counting what aliases unfold to")

    def _refuse_tag(self, tag: str | None, line: int) -> None:
        if tag is not None and tag not in ("!", "tag:yaml.org,2002:str"):
            raise Unreadable(line, f"the tag {shown(tag)} is not taken: only plain values are")

    def _refuse_as_key(self, line: int) -> None:
        if self.open and isinstance(self.open[-1][0].value, dict) and self.keys[-1] is None:
            raise Unreadable(line, "a key must be plain text")
