"""What a patch makes of the callers; who they are is in test_snapshot."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given

from gateway.config import archive, patches, snapshot
from gateway.config.model import Config, Key, Tenant
from gateway.config.snapshot import Snapshot
from gateway.config.snapshot_callers import Aliases
from tests.support.configurations import configs

DIGEST = "d" * 64


def plain(value: Any) -> Any:
    """A snapshot as what can be compared: its structs compare by identity."""
    match value:
        case Snapshot():
            names = [name for name in value.__struct_fields__ if name not in ("shared", "chains")]
            return {name: plain(getattr(value, name)) for name in names}
        case Aliases(exact=exact, patterns=patterns):
            return exact, patterns and patterns.pattern
        case msgspec.Struct():
            return type(value).__name__, {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case tuple():
            return tuple(plain(item) for item in value)
        case _:
            return value


@given(configs(), configs())
def test_a_patched_snapshot_is_the_compiled_one(old: Config, new: Config) -> None:
    changes = patches.between(old, new)
    assert changes is not None
    compiled = snapshot.compile(new, DIGEST)
    assert plain(snapshot.patched(snapshot.compile(old, "o" * 64), changes, DIGEST)) == plain(compiled)
    assert archive.encode(patches.changed(old, changes)) == archive.encode(new)


@given(configs(), configs(), configs())
def test_patch_upon_patch_is_the_compiled_one_too(one: Config, two: Config, three: Config) -> None:
    found = snapshot.compile(one, "o" * 64)
    for old, new in ((one, two), (two, three)):
        changes = patches.between(old, new)
        assert changes is not None
        found = snapshot.patched(found, changes, DIGEST)
    assert plain(found) == plain(snapshot.compile(three, DIGEST))


def test_callers_that_did_not_change_are_the_very_same() -> None:
    keys = {"a": Key(digest=b"1" * 32), "b": Key(digest=b"2" * 32)}
    old = Config(tenants={"t": Tenant(models=("*",), keys=keys), "u": Tenant(models=("*",))})
    tenants = {**old.tenants, "t": Tenant(models=("*",), keys={"a": keys["a"], "c": Key(digest=b"3" * 32)})}
    changes = patches.between(old, msgspec.structs.replace(old, tenants=tenants))
    assert changes is not None
    before = snapshot.compile(old, DIGEST)
    after = snapshot.patched(before, changes, DIGEST)
    assert after.keys[b"1" * 32] is before.keys[b"1" * 32]
    assert after.keys[b"3" * 32].tenant is before.keys[b"1" * 32].tenant
    assert b"2" * 32 not in after.keys
    assert b"2" * 32 in before.keys
