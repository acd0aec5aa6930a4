"""JSON lines for thousands of tenants, keys and models: each good line is decoded in one step, each bad one is looked
at slowly and explained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from gateway.config import nodes, units
from gateway.config.leaves import Alias, AliasPattern, Name
from gateway.config.model import AnyModel, Key, Model, Onnx, Tenant
from gateway.config.model_meters import Meters
from gateway.config.nodes import Node, Unreadable
from gateway.config.shape import Shaper

MAX_LINE_BYTES = 65_536

S = TypeVar("S", bound=Struct)


class KeyLine(Key, frozen=True, kw_only=True):
    """A line of `keys*.jsonl`: a key with the tenant it belongs to."""

    tenant: Name
    """The tenant, which must be in a YAML file."""
    key: Name
    """The key's name within the tenant."""


class ModelLine(Model, frozen=True, kw_only=True):
    """A line of `models*.jsonl`: a model with its alias."""

    name: Alias
    """The alias that callers send."""


class ClassicLine(Onnx, frozen=True, kw_only=True):
    """A line of `models*.jsonl` with `"kind": "onnx"`: a classic model with its alias."""

    name: Alias
    """The alias that callers send."""


AnyLine: TypeAlias = Annotated[ModelLine | ClassicLine, Meta(extra={"kind": "backend"})]


class TenantLine(Tenant, frozen=True, kw_only=True):
    """A line of `tenants*.jsonl`: a tenant with its name."""

    name: Name
    """The tenant's name."""


class _PlainTenantLine(Struct, forbid_unknown_fields=True, gc=False):
    """What msgspec can decode of a TenantLine by itself."""

    name: Name
    models: tuple[AliasPattern, ...]
    meters: msgspec.Raw = msgspec.Raw()
    chain: Name | None = None


class _PlainKey(Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """What msgspec can decode of a Key by itself."""

    hash: Annotated[str, Meta(pattern=r"^sha256:[0-9a-fA-F]{64}$(?!\n)")]
    expires: str | None = None
    projects: tuple[Name, ...] = ()
    models: tuple[AliasPattern, ...] = ()
    chain: Name | None = None


class _PlainKeyLine(_PlainKey, forbid_unknown_fields=True, gc=False, kw_only=True):
    """The same of a KeyLine."""

    tenant: Name
    key: Name


_decode_key = msgspec.json.Decoder(_PlainKey).decode
_decode_key_line = msgspec.json.Decoder(_PlainKeyLine).decode
_decode_tenant = msgspec.json.Decoder(_PlainTenantLine).decode
_decode_model = msgspec.json.Decoder(ModelLine).decode
_instant = lru_cache(maxsize=4096)(units.instant)


KnownKeys: TypeAlias = dict[bytes, tuple[str, str, Key]]
"""(tenant, name, key) of lines that were read before: a hundred thousand that did not change are not read again."""


def read_keys(
    data: bytes, file: str, shaper: Shaper, known: KnownKeys, seen: KnownKeys
) -> Iterator[tuple[int, str, str, Key]]:
    """(line, tenant, name, key) of every good line; the others are reported to the shaper. What is `known` is as it
    was; what can be known the next time is added to `seen`."""
    for number, line in enumerate(data.split(b"\n"), 1):
        found = known.get(line)
        if found is not None:
            seen[line] = found
            yield number, *found
            continue
        try:
            plain = _decode_key_line(line)
            if (key := _plain(plain, line.count(b'"') - 8)) is not None:  # tenant and key
                seen[line] = plain.tenant, plain.key, key
                yield number, plain.tenant, plain.key, key
                continue
        except ValueError:  # msgspec's errors are ValueErrors; the slow way says what is wrong
            pass
        slow = _explain(KeyLine, line, file, number, shaper)
        if slow is not None:
            yield number, slow.tenant, slow.key, _without(slow, Key)


def plain_key(document: bytes) -> Key | None:
    """The key of a JSON document that holds nothing unusual; None for one that must be read the slow way."""
    try:
        return _plain(_decode_key(document), document.count(b'"'))
    except ValueError:
        return None


def _plain(plain: _PlainKey, quotes: int) -> Key | None:
    """The key; None where a field is there twice, which would silently win over the first: then there are more quotes
    than four a field, or two for each text in a list. ValueError for an end that is none."""
    expected = 4 + 4 * (plain.expires is not None) + 4 * (plain.chain is not None)
    for texts in (plain.projects, plain.models):
        expected += 2 + 2 * len(texts) if texts else 0
    if quotes != expected:
        return None
    expires_s = None if plain.expires is None else _instant(plain.expires)
    digest = bytes.fromhex(plain.hash[7:])
    return Key(digest=digest, expires_s=expires_s, projects=plain.projects, models=plain.models, chain=plain.chain)


def read_models(data: bytes, file: str, shaper: Shaper) -> Iterator[tuple[int, str, AnyModel]]:
    """(line, alias, model) of every good line; the others are reported to the shaper."""
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            found: ModelLine | ClassicLine | None = (plain := _decode_model(line))
            if b"${" in line or plain.meters or isinstance(plain.price, Struct) or _has_duplicates(line):
                raise ValueError  # what is written with a unit is read the slow way
        except ValueError:
            found = _explain(AnyLine, line, file, number, shaper)
        if isinstance(found, ClassicLine):
            yield number, found.name, _without(found, Onnx)
        elif found is not None:
            yield number, found.name, _without(found, Model)


def read_tenants(data: bytes, file: str, shaper: Shaper) -> Iterator[tuple[int, str, Tenant]]:
    """(line, name, tenant) of every good line; the others are reported to the shaper. Meters that are written alike are
    read once, and are then the very same."""
    known_meters: dict[bytes, Meters] = {b"": ()}
    known_models: dict[tuple[str, ...], tuple[str, ...]] = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        written = b""
        try:
            plain = _decode_tenant(line)
            written = bytes(plain.meters)
            meters = known_meters.get(written)
            quotes = 6 + 2 * len(plain.models) + (2 + written.count(b'"') if written else 0)
            quotes += 4 * (plain.chain is not None)
            if meters is not None and line.count(b'"') == quotes:
                models = known_models.setdefault(plain.models, plain.models)
                yield number, plain.name, Tenant(models=models, meters=meters, chain=plain.chain)
                continue
        except ValueError:
            pass
        slow = _explain(TenantLine, line, file, number, shaper)
        if slow is not None:
            if written:
                known_meters.setdefault(written, slow.meters)
            yield number, slow.name, _without(slow, Tenant)


def _without(line: Struct, kind: type[S]) -> S:
    """The section itself, of a line that also names it."""
    return kind(**{name: getattr(line, name) for name in kind.__struct_fields__})


def _has_duplicates(line: bytes) -> bool:
    sizes: list[bool] = []

    def count(pairs: list[tuple[str, Any]]) -> None:
        sizes.append(len({key for key, _ in pairs}) == len(pairs))

    json.loads(line, object_pairs_hook=count)
    return not all(sizes)


def _explain(kind: Any, line: bytes, file: str, number: int, shaper: Shaper) -> Any:
    """Reads a line the slow way: None for an empty line, or for a bad one after its problems have been reported."""
    if not line.strip():
        return None
    here = Node(None, file, number)
    if len(line) > MAX_LINE_BYTES:
        shaper.report((), here, f"a line is at most {MAX_LINE_BYTES} bytes")
        return None
    try:
        node = nodes.from_json(line.decode(), file, number)
    except UnicodeDecodeError:
        shaper.report((), here, "not UTF-8 text")
    except Unreadable as error:
        shaper.report((), here, error.message)
    else:
        return shaper.build(kind, node, ())
    return None
