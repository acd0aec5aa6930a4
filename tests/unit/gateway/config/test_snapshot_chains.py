"""What is made of the chains of a configuration, and for whom."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.config import archive, patches, snapshot, snapshot_chains
from gateway.config.model import AnyModel, Config, Endpoint, Key, Model, Tenant, Vllm
from gateway.config.snapshot import Snapshot
from gateway.config.snapshot_chains import Resolved
from guardrails.chain import ChainError
from guardrails.screen import Screen
from guardrails.verdict import Phase

STANDARD: dict[str, Any] = {"action": "mask", "check": "keywords", "phase": "input", "words": ["joe"]}
STRICT: dict[str, Any] = {"action": "block", "check": "keywords", "phase": "input", "words": ["bomb"]}
TOOLS: dict[str, Any] = {"allow": ["search", "mail"], "check": "tools", "phase": "tool_call"}
FEWER: dict[str, Any] = {**TOOLS, "allow": ["mail", "rm"]}


def configured(**changes: Any) -> Config:
    models: dict[str, AnyModel] = {"plain": Model(backend="b"), "guarded": Model(backend="b", chain="strict")}
    keys = {
        "app": Key(digest=b"1" * 32),
        "own": Key(digest=b"2" * 32, chain="strict"),
        "free": Key(digest=b"3" * 32, chain="nothing"),
    }
    good: dict[str, Any] = {
        "backends": {"b": Vllm(endpoints=(Endpoint(url="http://a:1"),))},
        "models": models,
        "tenants": {
            "acme": Tenant(models=("*",), chain="standard", keys=keys),
            "other": Tenant(models=("*",), keys={"app": Key(digest=b"4" * 32)}),
        },
        "chains": {"standard": (STANDARD, TOOLS), "strict": (STRICT, FEWER), "nothing": ()},
    }
    return Config(**{**good, **changes})


def named(found: Snapshot, key: bytes, alias: str) -> str | None:
    route = found.models[alias]
    chain = found.chain_of(found.keys[key * 32], alias, (route, *route.fallback))
    return None if chain is None else chain.name


@pytest.mark.parametrize("archived", [False, True])
def test_a_key_s_chain_beats_its_tenant_s_and_the_model_s_comes_after_both(archived: bool) -> None:
    config = archive.decode(archive.encode(configured())) if archived else configured()
    found = snapshot.compile(config, "d" * 64)
    found.make_chains()
    assert named(found, b"1", "plain") == "standard"
    assert named(found, b"1", "guarded") == "standard+strict"
    assert named(found, b"2", "plain") == "strict"
    assert named(found, b"2", "guarded") == "strict"  # the same once, not twice
    assert named(found, b"3", "plain") is None  # an empty chain: nothing is looked at
    assert named(found, b"3", "guarded") == "nothing+strict"
    assert named(found, b"4", "plain") is None
    assert named(found, b"4", "guarded") == "strict"


def test_without_chains_there_is_nothing_to_ask() -> None:
    tenants = {"acme": Tenant(models=("*",), keys={"app": Key(digest=b"1" * 32)})}
    found = snapshot.compile(configured(chains={}, tenants=tenants, models={"plain": Model(backend="b")}), "d" * 64)
    found.make_chains()
    assert found.chains is None
    assert named(found, b"1", "plain") is None


def test_two_chains_are_one_in_which_both_hold() -> None:
    chain = Resolved(configured().chains).of("standard", "strict")
    assert chain is not None
    screen = Screen(chain.rows(Phase.INPUT))
    assert screen.feed("tell joe of the bomb now") + screen.finish() == "tell [keyword] of the "
    assert chain.tools is not None
    assert chain.tools.refused_offers(["search", "mail", "rm"]) == ["search", "rm"]
    assert chain.tools.refusal("mail", "{}") is None
    assert chain.tools.refusal("rm", "{}") == chain.tools.refusal("search", "{}") == "tool_not_allowed"


def test_a_pair_is_made_once_and_a_chain_as_long_as_it_is_written_the_same() -> None:
    chains = configured().chains
    resolved = Resolved(chains)
    resolved.make(["standard", None], [("strict",), (None, None)])
    assert resolved.of("standard", "strict") is resolved.of("standard", "strict")
    assert Resolved(chains).of("standard", None) is resolved.of("standard", None)
    again = {**chains, "standard": ({**STANDARD, "words": ["jane"]},)}
    assert Resolved(again).of("standard", None) is not resolved.of("standard", None)


def test_every_chain_runs_of_what_may_answer() -> None:
    models = {
        "first": Model(backend="b", chain="strict", fallback=("second",)),
        "second": Model(backend="b", chain="tools", fallback=("third",)),
        "third": Model(backend="b", chain="nothing"),
    }
    chains = {**configured().chains, "tools": ({**TOOLS, "allow": ["search"]},)}
    found = snapshot.compile(configured(models=models, chains=chains), "d" * 64)
    found.make_chains()
    assert named(found, b"1", "first") == "standard+strict+tools+nothing"
    assert named(found, b"1", "third") == "standard+nothing"
    caller = found.keys[b"1" * 32]
    chain = found.chain_of(caller, "first", [found.models["third"]])  # a budget asked for another
    assert chain is not None
    assert chain.name == "standard+strict+nothing"
    whole = found.chain_of(caller, "first", [found.models["first"], *found.models["first"].fallback])
    assert whole is not None
    assert whole.tools is not None
    assert whole.tools.refused_offers(["search", "mail", "rm"]) == ["search", "mail", "rm"]


def test_a_chain_that_cannot_be_meant_is_not_made() -> None:
    with pytest.raises(ChainError, match="names no check"):
        snapshot_chains.made("c", [{}])


def test_a_tenant_s_other_chain_is_a_patch_that_all_its_callers_get() -> None:
    old = configured()
    acme = msgspec.structs.replace(old.tenants["acme"], chain="nothing")
    new = msgspec.structs.replace(old, tenants={**old.tenants, "acme": acme})
    changes = patches.between(old, new)
    assert changes is not None
    found = snapshot.patched(snapshot.compile(old, "o" * 64), changes, "d" * 64)
    assert named(found, b"1", "plain") is None
    assert named(found, b"2", "plain") == "strict"
