from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given

from gateway.config import patches
from gateway.config.model import Config, Endpoint, Fake, Key, Model, Tenant, Vllm
from gateway.config.model_meters import Project
from gateway.config.patches import Changes, TenantPatch
from tests.support.configurations import configs

KEY = Key(digest=b"1" * 32)
OLD = Config(
    backends={"b": Vllm(endpoints=(Endpoint(url="http://a:1"), Endpoint(url="http://b:1")))},
    tenants={
        "acme": Tenant(models=("*",), keys={"app": KEY, "old": Key(digest=b"2" * 32)}, projects={"p": Project()}),
        "other": Tenant(models=("*",)),
    },
)


def between(old: Config, new: Config) -> Changes:
    found = patches.between(old, new)
    assert found is not None
    return found


@given(configs(), configs())
def test_what_is_between_two_configurations_makes_the_one_of_the_other(old: Config, new: Config) -> None:
    assert patches.changed(old, between(old, new)) == new
    assert not between(old, old)


@given(configs(), configs(), configs())
def test_changes_together_do_what_they_do_one_after_the_other(one: Config, two: Config, three: Config) -> None:
    first, second = between(one, two), between(two, three)
    both = patches.together(first, second)
    assert patches.changed(one, both) == three
    assert patches.changed(two, both) == three  # also to what the first was made to already


def test_a_patch_holds_what_changed_and_nothing_else() -> None:
    acme = OLD.tenants["acme"]
    keys = {"app": KEY, "new": Key(digest=b"3" * 32)}
    new = msgspec.structs.replace(
        OLD, tenants={"acme": msgspec.structs.replace(acme, keys=keys), "other": OLD.tenants["other"]}
    )
    found = between(OLD, new)
    assert found == Changes({"acme": TenantPatch(keys={"old": None, "new": keys["new"]})})
    assert found.size == 3
    made = patches.changed(OLD, found)
    assert made.tenants["other"] is OLD.tenants["other"]
    assert made.tenants["acme"].projects is acme.projects


def test_only_the_tenants_that_are_named_are_compared() -> None:
    new = Config(backends=OLD.backends)
    assert patches.between(OLD, new, ["other"]) == Changes({"other": None})


def test_what_is_no_matter_of_tenants_is_no_patch() -> None:
    different: list[dict[str, Any]] = [
        {"models": {"m": Model(backend="b")}},
        {"backends": {"b": Fake()}},
        {"backends": {}},
        {"backends": {**OLD.backends, "c": Fake()}},
        {"backends": {"b": Vllm(endpoints=(Endpoint(url="http://a:1"),))}},
        {"backends": {"b": Vllm(endpoints=(Endpoint(url="http://a:1"), Endpoint(url="http://c:1", drained=True)))}},
    ]
    for changed in different:
        assert patches.between(OLD, msgspec.structs.replace(OLD, **changed)) is None


def test_drained_endpoints_are_a_patch() -> None:
    ends = (Endpoint(url="http://a:1"), Endpoint(url="http://b:1", drained=True))
    new = msgspec.structs.replace(OLD, backends={"b": Vllm(endpoints=ends)})
    assert between(OLD, new) == Changes(drained={"b": (False, True)})


@pytest.mark.parametrize(
    "changes", [Changes({"gone": TenantPatch(keys={"k": KEY})}), Changes(drained={"gone": (True,)})]
)
def test_changes_of_what_is_not_there_do_not_fit(changes: Changes) -> None:
    with pytest.raises(KeyError, match="gone"):
        patches.changed(OLD, changes)
