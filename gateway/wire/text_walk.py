"""The walk over the decoded fields of a request that finds its texts, whatever the format.

All formats hold texts in the same few ways, and servers add members and types of their own. So every string is taken
for a text unless `prose` says that it is none; what a place means is told by the members around it: the role of a
message, the type of a block or item. What is found can be replaced where it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire.body import shown
from gateway.wire.edits import INPUT, TOOL_RESULT, Part
from gateway.wire.prose import MAYBE_OTHER, Kind, is_plain, kind_of

Json = dict[str, Any]

MAX_VALUES: Final = 50_000
"""Members and elements of one request: walking millions would hold up all others."""
MAX_DEPTH: Final = 100

TURNS: Final = frozenset(("messages", "input"))
"""Fields that hold a conversation, in the order in which it went."""
TOKENS: Final = frozenset(("prompt", "input"))
"""Fields that may hold token ids instead of text."""

_TOOL_ROLES: Final = frozenset(("tool", "function", "ipython"))
"""Of messages that hold a result; `ipython` is Llama's."""
_RESULTS: Final = ("tool_result", "_output", "mcp_list_tools")
"""How the types of blocks and items end that hold what a tool said: Anthropic's format, and Responses."""
_CALL: Final = "_call"
"""How the types of Responses' items end that are calls; of those that ran at the server the result stands within."""
_ANSWERS: Final = frozenset(("output", "outputs", "results", "error"))
_SPECIAL: Final = _ANSWERS | {"arguments", "input", "data"}
_USUAL: Final = frozenset(("role", "content", "type", "text", "function", "name", "arguments", "id", "tool_calls"))
_SCALARS: Final = frozenset((int, bool, type(None), msgspec.Raw))

_encode: Final = msgspec.json.Encoder().encode
_decode_raw: Final = msgspec.json.Decoder(msgspec.Raw).decode


class Members:
    """An object that has a text for a name among its members: names can be replaced like values."""

    __slots__ = ("names", "place", "values")

    def __init__(self, found: Json, place: str) -> None:
        self.names: Final = list(found)
        self.values: Final = list(found.values())
        self.place: Final = place

    def joined(self) -> Json:
        """The object. Raises InvalidRequest if two names became one."""
        made = dict(zip(self.names, self.values, strict=True))
        if len(made) < len(self.names):
            raise InvalidRequest(f"{self.place}: two members have one name, now that checks have changed both")
        return made


class _Said(NamedTuple):
    """Where the texts below a place count as said."""

    phase: str
    tool: str = ""


_INPUT: Final = _Said(INPUT)


class TextWalk:
    """The texts found so far; `read` adds those of a field."""

    __slots__ = ("_called", "_left", "_slots", "parts", "results", "unread")

    def __init__(self) -> None:
        self.parts: Final[list[Part]] = []
        self.unread = ""
        self.results: Final[list[str]] = []
        self._slots: Final[list[tuple[Any, Any, bool]]] = []
        """Where each part stands: holder, key, and whether it stands there as JSON instead of as a string."""
        self._called: Final[dict[str, str]] = {}
        """The tools that were called, by the ids of the calls."""
        self._left = MAX_VALUES

    def read(self, fields: Json, name: str) -> None:
        """The texts of a field that was decoded. Raises InvalidRequest for one nested too deeply or too large."""
        value = fields[name]
        place = shown(name)
        if type(value) is not list or name not in TURNS:
            self._value(fields, name, value, place, name, _INPUT, 0)
        elif not self._has_no_text(value, name, name, 0):
            self._turns(value, name)

    def replace(self, texts: Sequence[str]) -> None:
        """Puts these in place of the parts. Raises InvalidRequest where JSON was, and is no more."""
        for (holder, key, is_document), part, text in zip(self._slots, self.parts, texts, strict=True):
            holder[key] = _document(text, part.place) if is_document else text

    def _turns(self, turns: list[Any], name: str) -> None:
        """Results count until the user speaks. Agents add words of their own to a message that holds results, so one
        with any is not the user's word.
        """
        for index, turn in enumerate(turns):
            before = len(self.results)
            self._value(turns, index, turn, f"{name}[{index}]", name, _INPUT, 1)
            if len(self.results) == before and type(turn) is dict and turn.get("role") == "user":
                self.results.clear()

    def _value(self, holder: Any, key: Any, value: Any, place: str, under: str, said: _Said, depth: int) -> None:
        """`under` is the name of the member that this is, or is an element of."""
        kind = type(value)
        if kind is str:
            if value and (under not in MAYBE_OTHER or self._is_text(value, place, under)):
                self._add(holder, key, place, value, said)
        elif kind is dict:
            self._object(holder, key, value, place, said, depth)
        elif kind is list and not self._has_no_text(value, place, under, depth):
            for index, each in enumerate(value):
                self._value(value, index, each, f"{place}[{index}]", under, said, depth + 1)

    def _is_text(self, value: str, place: str, under: str) -> bool:
        kind = kind_of(under, value)
        if kind is Kind.HIDDEN:
            self.unread = self.unread or place
        return kind is Kind.TEXT

    def _add(self, holder: Any, key: Any, place: str, text: str, said: _Said) -> None:
        self.parts.append(Part(place, said.phase, text, tool=said.tool))
        self._slots.append((holder, key, False))

    def _has_no_text(self, value: list[Any], place: str, under: str, depth: int) -> bool:
        """Whether a list holds numbers only; those may be tokens."""
        kinds = set(map(type, value))
        if depth < 2 and int in kinds and under in TOKENS:
            self.unread = self.unread or place
        if kinds <= _SCALARS:
            return True
        self._count(len(value), place, depth)
        return False

    def _object(self, holder: Any, key: Any, value: Json, place: str, said: _Said, depth: int) -> None:
        self._count(len(value), place, depth)
        kind = value.get("type")
        kind = kind if type(kind) is str else ""
        said = self._told(value, kind, said)
        names: Iterable[Any] = value
        inner: Any = value
        if not _USUAL.issuperset(value) and not all(map(is_plain, value)):
            members = holder[key] = Members(value, place)
            self._names(members, place, said)
            names, inner = range(len(value)), members.values
        for at, (name, each) in zip(names, value.items(), strict=True):
            where = f"{place}.{name}" if inner is value or is_plain(name) else f"{place}.…"
            if name not in _SPECIAL:
                self._value(inner, at, each, where, name, said, depth + 1)
            elif name in _ANSWERS:
                self._value(inner, at, each, where, name, self._answer(value, kind, each, said), depth + 1)
            elif name == "data":  # a document of text, in Anthropic's format
                self._value(inner, at, each, where, "" if kind == "text" else name, said, depth + 1)
            elif not self._arguments(inner, at, each, where, value, said):
                self._value(inner, at, each, where, name, said, depth + 1)

    def _told(self, value: Json, kind: str, said: _Said) -> _Said:
        """Where the texts of an object count as said."""
        if said.phase is not INPUT:
            return said
        role = value.get("role")
        if kind.endswith(_RESULTS) or (type(role) is str and role in _TOOL_ROLES):
            name = self._caller(value) or (kind if kind == "mcp_list_tools" else "")
            self.results.append(name)
            return _Said(TOOL_RESULT, name)
        if "id" in value or "call_id" in value:
            self._learn(value, kind)
        return said

    def _learn(self, value: Json, kind: str) -> None:
        """Which tool a call is of: itself named, or its function, or else its type."""
        name = string_of(called(value), "name") or (kind.removesuffix(_CALL) if kind.endswith(_CALL) else "")
        for told in (string_of(value, "call_id"), string_of(value, "id")):
            if name and told:
                self._called[told] = name

    def _caller(self, value: Json) -> str:
        """The tool whose result this is; "" if nothing tells."""
        for each in ("tool_call_id", "tool_use_id", "call_id", "id"):
            name = self._called.get(string_of(value, each))
            if name:
                return name
        return string_of(value, "name")

    def _answer(self, value: Json, kind: str, answer: Any, said: _Said) -> _Said:
        if said.phase is not INPUT or not answer or not kind.endswith(_CALL):
            return said
        name = string_of(value, "name") or kind.removesuffix(_CALL)
        self.results.append(name)
        return _Said(TOOL_RESULT, name)

    def _names(self, members: Members, place: str, said: _Said) -> None:
        for index, name in enumerate(members.names):
            if name and not is_plain(name):
                self._add(members.names, index, f"{place}.…", name, said)

    def _arguments(self, holder: Any, key: Any, value: Any, place: str, call: Json, said: _Said) -> bool:
        """Whether this is what a tool is called with: JSON in a string, or as it is."""
        tool = string_of(call, "name")
        is_input = place.endswith(".input")
        if type(value) is str and value and not is_input:
            self.parts.append(Part(place, said.phase, value, is_json=True, tool=tool))
            self._slots.append((holder, key, False))
            return True
        if type(value) in (dict, list) and value and tool:
            if is_input and not string_of(call, "type").endswith("tool_use"):
                return False
            self.parts.append(Part(place, said.phase, _encode(value).decode(), is_json=True, tool=tool))
            self._slots.append((holder, key, True))
            return True
        return False

    def _count(self, values: int, place: str, depth: int) -> None:
        self._left -= values
        if self._left < 0:
            raise InvalidRequest(f"{place}: a request that is checked may hold at most {MAX_VALUES} values")
        if depth > MAX_DEPTH:
            raise InvalidRequest("the body is nested too deeply")


def called(call: Json) -> Json:
    """What of a call or a tool has the tool's name: itself, or in chat's format a member of it."""
    for name in ("function", "custom"):
        if type(call.get(name)) is dict:
            inner: Json = call[name]
            return inner
    return call


def string_of(value: Json, name: str) -> str:
    """The member of that name if it is a string; else \"\"."""
    found = value.get(name)
    return found if type(found) is str else ""


def _document(text: str, place: str) -> msgspec.Raw:
    try:
        return _decode_raw(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise InvalidRequest(f"{place} is no JSON any more, now that checks have changed it", param=place) from None
