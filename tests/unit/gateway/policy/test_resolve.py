"""From an alias to its routes; unknown and forbidden are one answer."""

from __future__ import annotations

import re

import msgspec
import pytest

from gateway.config.model import Config
from gateway.config.snapshot import ClassicModel, ClassicVersion, ModelRoute, Snapshot
from gateway.config.snapshot import compile as compile_snapshot
from gateway.config.snapshot_callers import Aliases, Caller, TenantRules
from gateway.errors import ModelNotFound, NotServed
from gateway.policy.resolve import plan, route_of, version_of
from gateway.wire import chat
from gateway.wire.call import Call

LARGE = ModelRoute("large", "gpu-b", "org/large", b'"org/large"')
SMALL = ModelRoute("small", "gpu-a", "small", b'"small"', (LARGE,))
CALLER = Caller(TenantRules("acme", Aliases(frozenset({"small"}), re.compile("openai/.*"))), "app", None)


@pytest.fixture
def snapshot() -> Snapshot:
    made = compile_snapshot(Config(), "digest")
    made.models.update({"small": SMALL, "large": LARGE, "openai/x": ModelRoute("openai/x", "gpu-a", "x", b'"x"')})
    return made


def call(alias: str) -> Call:
    return chat.parse(b'{"model":"%b","messages":[1]}' % alias.encode())


def test_the_plan_is_the_models_route_and_then_its_fallbacks(snapshot: Snapshot) -> None:
    made = plan(snapshot, CALLER, call("small"))
    assert (made.alias, made.routes, made.reason) == ("small", (SMALL, LARGE), "with_fallbacks")


def test_a_model_without_fallbacks_has_one_route(snapshot: Snapshot) -> None:
    made = plan(snapshot, CALLER, call("openai/x"))
    assert [route.served_model for route in made.routes] == ["x"]
    assert made.reason == "direct"


def test_a_fallback_needs_no_permission_of_its_own_but_gives_none_either(snapshot: Snapshot) -> None:
    assert not CALLER.allows("large")
    with pytest.raises(ModelNotFound):
        plan(snapshot, CALLER, call("large"))


def test_a_key_may_use_less_than_its_tenant_and_never_more(snapshot: Snapshot) -> None:
    narrow = msgspec.structs.replace(CALLER, models=Aliases(frozenset({"small", "large"}), None))
    assert plan(snapshot, narrow, call("small")).alias == "small"
    assert snapshot.models_of(narrow) == ["small"]
    for alias in ("openai/x", "large"):
        with pytest.raises(ModelNotFound) as refused:
            plan(snapshot, narrow, call(alias))
        assert refused.value.message == f"the model {alias} does not exist, or this key may not use it"


@pytest.mark.parametrize("alias", ["large", "unknown", "openai/unknown", "Small", "small "])
def test_unknown_and_forbidden_models_are_the_same_404(snapshot: Snapshot, alias: str) -> None:
    with pytest.raises(ModelNotFound) as refused:
        plan(snapshot, CALLER, call(alias))
    assert refused.value.message == f"the model {alias} does not exist, or this key may not use it"
    assert (refused.value.param, refused.value.headers) == ("model", ())


def test_a_long_name_is_not_told_back_whole(snapshot: Snapshot) -> None:
    with pytest.raises(ModelNotFound) as refused:
        plan(snapshot, CALLER, call("m" * 256))
    assert len(refused.value.message) < 140


CHURN = {name: ClassicVersion("openai/churn", name, f"{name}.onnx", "", {}) for name in ("2", "10")}


@pytest.fixture
def classic(snapshot: Snapshot) -> Snapshot:
    snapshot.classic["openai/churn"] = ClassicModel("openai/churn", CHURN, "10")
    snapshot.classic["churn"] = ClassicModel("churn", CHURN, "10")
    return snapshot


def test_a_classic_models_version_is_the_one_asked_for_or_its_default(classic: Snapshot) -> None:
    assert version_of(classic, CALLER, "openai/churn", "") is CHURN["10"]
    assert version_of(classic, CALLER, "openai/churn", "2") is CHURN["2"]
    assert version_of(classic, CALLER, "openai/x", "") is None


@pytest.mark.parametrize("alias", ["churn", "unknown", "openai/unknown", "large"])
@pytest.mark.parametrize("version", ["", "2", "9"])
def test_unknown_and_forbidden_classic_models_are_one_answer(classic: Snapshot, alias: str, version: str) -> None:
    with pytest.raises(ModelNotFound) as refused:
        version_of(classic, CALLER, alias, version)
    assert refused.value.message == f"the model {alias} does not exist, or this key may not use it"


def test_an_unknown_version_is_told_with_those_there_are(classic: Snapshot) -> None:
    with pytest.raises(ModelNotFound, match="the model openai/churn has no version 3; it has 2, 10"):
        version_of(classic, CALLER, "openai/churn", "3")


def test_no_route_leads_to_a_classic_model_which_is_told_to_who_may_use_it(classic: Snapshot) -> None:
    with pytest.raises(NotServed, match="it is asked at /v2/models"):
        route_of(classic, CALLER, "openai/churn")
    with pytest.raises(ModelNotFound):
        route_of(classic, CALLER, "churn")
