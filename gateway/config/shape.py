"""A tree of nodes to the structs of `model`, collecting every problem instead of stopping at the first.

`msgspec.convert` judges each leaf; this walks the sections around the leaves, because it alone could name neither
lines, nor the nearest known key, nor the second mistake.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta, Struct
from msgspec.structs import FieldInfo

from gateway.config import units, units_money
from gateway.config.nodes import Node
from gateway.config.units import shown

Path = tuple[str | int, ...]
"""Where a value is: keys and list positions from the root."""

T = TypeVar("T")
Report = Callable[[Path, Node, str], None]
"""Called with the path, the node at (or nearest to) the mistake, and a sentence."""

_READERS: Mapping[str, Callable[[object], object]] = {
    "size": units.size,
    "share": units.share,
    "instant": units.instant,
    "digest": units.digest,
    "address": units.address,
    "money": units_money.money,
    "token_price": units_money.token_price,
    "cap": units_money.cap,
    "window": units_money.window,
    "zone": units_money.zone,
    "permille": units_money.permille,
}
_CHECKS: Mapping[str, Callable[[str], None]] = {
    "url": units.check_url,
    "base_url": units.check_base_url,
    "webhook": units.check_webhook,
    "otlp": units.check_base_url,
    "header": units.check_header,
    "store": units.check_store,
    "control_store": units.check_control_store,
    "secret": units.check_secret,
    "admin_token": units.check_admin_token,
}
"""What must hold of a value that may refer to the environment, once that is resolved."""
_SECRET_UNITS = (*_CHECKS, "digest")
_WRONG = object()
_COMPARED = 1_000  # comparing takes some 30 µs a name


def dotted(path: Path) -> str:
    """`tenants.acme.keys.app`, `backends.gpu.endpoints[0].url`; names that hold a dot stand in quotes."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = shown(part)
            name = name if "." in part or not part.isprintable() else name.strip('"')
            text += f".{name}" if text else name
    return text


class Shaper:
    """Builds values of annotated types from nodes; problems go to `report`, references are looked up in `environ`."""

    def __init__(self, environ: Mapping[str, str], report: Report) -> None:
        self.environ = environ
        self.report = report

    def build(self, kind: type[T], node: Node, path: Path) -> T | None:
        """The value, or None when something in it was wrong and has been reported."""
        value = self._value(kind, node, path)
        return None if value is _WRONG else value

    def _value(self, kind: Any, node: Node, path: Path) -> Any:
        inner, extra = bare(kind)
        if extra.get("unit") == "plain":
            return _WRONG if self._members(node, path, extra["allowed"]) is None else _plain(node) or {}
        if get_origin(inner) in (Union, UnionType):
            members = get_args(inner)
            if node.value is None and NoneType in members:
                return None
            structs = [member for member in members if isinstance(member, type) and issubclass(member, Struct)]
            texts = [member for member in members if _is_text(bare(member)[0])]
            if structs and texts and isinstance(node.value, str):
                return self._value(texts[0], node, path)
            if structs and texts and "allowed" in extra and not isinstance(node.value, dict):
                self.report(path, node, f"expected {extra['allowed']}, got {_named(node)}")
                return _WRONG
            if len(structs) == 1:
                return self._struct(structs[0], node, path, {})
            if structs:
                return self._tagged(structs, node, path, extra.get("kind"))
            rest = [member for member in members if member is not NoneType]
            if len(rest) == 1:
                return self._value(rest[0], node, path)
            return self._leaf(kind, node, path, extra)
        if isinstance(inner, type) and issubclass(inner, Struct):
            return self._struct(inner, node, path, {})
        if get_origin(inner) is dict:
            key_kind, item_kind = get_args(inner)
            return self._map(kind, key_kind, item_kind, node, path, extra)
        if get_origin(inner) is tuple:
            return self._list(kind, get_args(inner)[0], node, path, extra)
        return self._leaf(kind, node, path, extra)

    def _struct(
        self, kind: type[Struct], node: Node, path: Path, tag: dict[str, str], others: tuple[type[Struct], ...] = ()
    ) -> Any:
        members = self._members(node, path, "a map of settings")
        if members is None:
            return _WRONG
        fields = _fields(kind)
        known = [info.encode_name for info in fields] + list(tag)
        for key in members.keys() - set(known):
            self.report(
                (*path, key), _at_key(node, key), f"unknown key; {_elsewhere(key, others) or nearest(key, known)}"
            )
        values: dict[str, Any] = {}
        for info in fields:
            if info.encode_name in members:
                child = members[info.encode_name]
                if child.value is None and info.default_factory is not NODEFAULT:
                    continue  # a section whose every line is commented out
                values[info.name] = self._value(info.type, child, (*path, info.encode_name))
            elif info.required:
                self.report(path, node, f"the key {info.encode_name} is missing")
                values[info.name] = _WRONG
        if members.keys() - set(known) or any(value is _WRONG for value in values.values()):
            return _WRONG
        return kind(**values)

    def _tagged(self, kinds: list[type[Struct]], node: Node, path: Path, untold: str | None) -> Any:
        """One of several structs, told apart by their tag; `untold` is the tag of one that has none."""
        members = self._members(node, path, "a map of settings")
        if members is None:
            return _WRONG
        by_tag = {str(kind.__struct_config__.tag): kind for kind in kinds}
        tag_field = str(kinds[0].__struct_config__.tag_field)
        if tag_field not in members and untold is None:
            self.report(path, node, f"the key {tag_field} is missing: one of {', '.join(sorted(by_tag))}")
            return _WRONG
        tag = members[tag_field].value if tag_field in members else untold
        if not isinstance(tag, str) or tag not in by_tag:
            problem = f"{shown(tag)} is not a known kind; {nearest(str(tag), list(by_tag))}"
            self.report((*path, tag_field), members[tag_field], problem)
            return _WRONG
        rest = Node(
            {key: value for key, value in members.items() if key != tag_field}, node.file, node.line, node.key_lines
        )
        others = tuple(kind for kind in kinds if kind is not by_tag[tag])
        return self._struct(by_tag[tag], rest, path, {tag_field: tag}, others)

    def _map(self, whole: Any, key_kind: Any, kind: Any, node: Node, path: Path, extra: dict[str, str]) -> Any:
        members = self._members(node, path, "a map by name")
        if members is None:
            return _WRONG
        if any(len(members) < (meta.min_length or 0) for meta in _metas(whole)):
            self.report(path, node, f"expected {extra['allowed']}, got none")
            return _WRONG
        built = {}
        wrong = False
        for key, child in members.items():
            name = self._leaf(key_kind, _at_key(node, key), (*path, key), bare(key_kind)[1])
            value = self._value(kind, child, (*path, key))
            wrong = wrong or name is _WRONG or value is _WRONG
            built[name] = value
        return _WRONG if wrong else built

    def _list(self, kind: Any, item_kind: Any, node: Node, path: Path, extra: dict[str, str]) -> Any:
        if not isinstance(node.value, list):
            self.report(path, node, f"expected {extra.get('allowed', 'a list')}, got {_named(node)}")
            return _WRONG
        items = tuple(self._value(item_kind, item, (*path, index)) for index, item in enumerate(node.value))
        if any(item is _WRONG for item in items):
            return _WRONG
        for meta in _metas(kind):
            if len(items) < (meta.min_length or 0) or len(items) > (meta.max_length or len(items)):
                self.report(path, node, f"expected {extra['allowed']}, got {len(items)}")
                return _WRONG
        return items

    def _leaf(self, kind: Any, node: Node, path: Path, extra: dict[str, str]) -> Any:
        unit = extra.get("unit", "")
        allowed = extra.get("allowed") or ("true or false" if kind is bool else "another type")
        value = node.value
        try:
            if isinstance(value, str):
                self._references(value, unit)
            if unit in _READERS:
                value = _READERS[unit](value)
            return msgspec.convert(value, kind)
        except ValueError as error:  # msgspec.ValidationError is one
            if isinstance(error, msgspec.ValidationError):
                got = "" if unit in _SECRET_UNITS and isinstance(node.value, str) else f", got {_named(node)}"
                self.report(path, node, f"expected {allowed}{got}")
            else:
                self.report(path, node, str(error))
            return _WRONG

    def _references(self, value: str, unit: str) -> None:
        """`${NAME}` stays in the value, but it must be there, and only a secret or a URL may hold one."""
        if unit == "admin_token" and units.is_unset(value, self.environ):
            return  # then there is no control listener
        if unit in _CHECKS:
            _CHECKS[unit](units.resolve_env(value, self.environ))
        elif "${" in value:
            raise ValueError(
                "a reference to the environment (${NAME}) may stand only in api_key, api_base, url, webhook, "
                "secret, endpoint, headers, admin_token and stores"
            )

    def _members(self, node: Node, path: Path, allowed: str) -> dict[str, Node] | None:
        if node.value is None:
            return {}
        if isinstance(node.value, dict):
            return node.value
        self.report(path, node, f"expected {allowed}, got {_named(node)}")
        return None


def _plain(node: Node) -> Any:
    """The value without its places; the keys of maps sorted, as they are where it was archived."""
    if isinstance(node.value, dict):
        return {key: _plain(node.value[key]) for key in sorted(node.value)}
    return [_plain(item) for item in node.value] if isinstance(node.value, list) else node.value


@functools.cache
def _fields(kind: type[Struct]) -> tuple[FieldInfo, ...]:
    """Evaluating the annotations takes longer than all else of a small section."""
    return msgspec.structs.fields(kind)


def nearest(word: str, known: list[str]) -> str:
    """What an error adds to an unknown word: the nearest known one, or all when there are few."""
    likely = known if len(known) <= _COMPARED else [name for name in known if name[:1] == word[:1]][:_COMPARED]
    close = difflib.get_close_matches(word[:80], likely, n=1)
    if close:
        return f"did you mean {close[0]}?"
    listed = ", ".join(sorted(known)[:20]) + (", …" if len(known) > 20 else "")
    return f"known: {listed}" if known else "there are none"


def bare(kind: Any) -> tuple[Any, dict[str, str]]:
    """The type without its annotations, and what `model._unit` says about it."""
    if get_origin(kind) is not Annotated:
        return kind, {}
    extra: dict[str, str] = {}
    for meta in _metas(kind):
        extra |= meta.extra or {}
    return get_args(kind)[0], extra


def _metas(kind: Any) -> list[Meta]:
    return [meta for meta in get_args(kind)[1:] if isinstance(meta, Meta)] if get_origin(kind) is Annotated else []


def _is_text(kind: Any) -> bool:
    return kind is str or get_origin(kind) is Literal


def _at_key(node: Node, key: str) -> Node:
    """A stand-in node on the key's own line, for problems with the key."""
    return Node(key, node.value[key].file, node.key_lines.get(key, node.line))


def _elsewhere(key: str, others: tuple[type[Struct], ...]) -> str:
    """What to say of a key that is not one of this kind but of another."""
    tags = [
        f"{kind.__struct_config__.tag_field}: {kind.__struct_config__.tag}"
        for kind in others
        if key in kind.__struct_encode_fields__
    ]
    return f"it is one of {' and '.join(tags)}" if tags else ""


def _named(node: Node) -> str:
    match node.value:
        case dict():
            return "a map"
        case list():
            return "a list"
        case None:
            return "nothing"
        case bool():
            return "true" if node.value else "false"
        case _:
            return shown(node.value)
