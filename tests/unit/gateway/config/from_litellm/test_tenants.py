"""gateway.config.from_litellm.tenants"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from gateway.config.from_litellm import tenants
from gateway.config.from_litellm.models import Catalogue
from gateway.config.from_litellm.report import Report
from gateway.config.from_litellm.tenants import Tenants
from gateway.config.nodes import from_yaml

SECRET = "sk-a-master-key-that-is-long-enough"
TOKEN = hashlib.sha256(b"sk-callers-own").hexdigest()


def test_a_master_key_that_is_no_text_is_told_and_never_shown() -> None:
    found, said = master("{key: sk-hidden-in-a-map-0123456789}")
    assert found == {}
    assert [line.message for line in said.losses] == ["expected a text"]


def test_a_secret_opens_one_key_only() -> None:
    found, said = carried([key(), key(key_alias="twice")])
    assert list(found["default"]["keys"]) == ["app"]
    assert "is there already" in said.losses[0].message


def master(value: str, **environ: str) -> tuple[dict[str, Any], Report]:
    said = Report()
    return tenants.from_master_key(from_yaml(value, "f"), said, environ), said


def test_a_master_key_becomes_a_hash_and_opens_all_models() -> None:
    digest = "sha256:" + hashlib.sha256(SECRET.encode()).hexdigest()
    expected = {"admin": {"models": ["*"], "keys": {"master": {"hash": digest}}}}
    assert master(SECRET)[0] == expected
    assert master("os.environ/MASTER", MASTER=SECRET)[0] == expected
    assert SECRET not in "".join(map(str, master(SECRET)[1].notes))


@pytest.mark.parametrize(("value", "why"), [("sk-1234", "too short"), ("os.environ/MASTER", "MASTER is not set here")])
def test_a_master_key_that_is_weak_or_unknown_is_not_carried(value: str, why: str) -> None:
    found, said = master(value)
    assert found == {}
    assert why in said.losses[0].message
    assert "1234" not in said.losses[0].message


def carried(keys: Any, teams: Any = None) -> tuple[dict[str, Any], Report]:
    said = Report()
    catalogue = Catalogue(models={"a": {}, "b": {}, "c": {}}, groups={"beta": ["b", "c"]})
    found = Tenants(catalogue, said, {})
    found.add_teams(None if teams is None else from_yaml(json.dumps(teams), "teams.json"))
    found.add_keys(from_yaml(json.dumps(keys), "keys.json"))
    return found.found, said


def key(**more: Any) -> dict[str, Any]:
    return {"token": TOKEN, "key_alias": "app", "spend": 3.5, "models": [], **more}


def test_callers_keep_their_keys() -> None:
    found, said = carried({"keys": [key(expires="2027-01-02T03:04:05.678000")]})
    assert found == {
        "default": {"models": ["*"], "keys": {"app": {"hash": f"sha256:{TOKEN}", "expires": "2027-01-02T03:04:05Z"}}}
    }
    assert said.losses == []


def test_a_team_is_a_tenant_and_a_key_with_other_models_gets_its_own() -> None:
    teams = [{"team_id": "t-1", "team_alias": "Data Science", "models": ["a", "beta"]}]
    found, said = carried(
        [
            key(team_id="t-1"),
            key(team_id="t-1", key_alias="app", token="1" * 64),
            key(team_id="t-1", key_alias="narrow", models=["a"], token="2" * 64),
            key(team_id="t-9", key_alias="stray", token="3" * 64),
        ],
        teams,
    )
    assert {name: (tenant["models"], list(tenant["keys"])) for name, tenant in found.items()} == {
        "Data-Science": (["a", "b", "c"], ["app", "app-2"]),
        "Data-Science-narrow": (["a"], ["narrow"]),
        "t-9": (["*"], ["stray"]),
    }
    assert said.losses == []
    assert len(said.notes) == 1


def test_blocked_keys_and_teams_open_nothing() -> None:
    teams = [{"team_id": "t", "blocked": True}]
    found, said = carried([key(blocked=True), key(team_id="t", token="1" * 64)], teams)
    assert found == {}
    assert said.losses == []
    assert len(said.notes) == 2


def test_budgets_and_limits_become_meters() -> None:
    teams = [{"team_id": "t", "team_alias": "acme", "max_budget": 100, "budget_duration": "30d", "soft_budget": 80.0}]
    more = key(team_id="t", max_budget=5, rpm_limit=10, metadata={"x": 1}, tpm_limit=None, model_rpm_limit={"a": 1})
    found, said = carried([more], teams)
    assert found["acme"]["meters"] == [{"cap": "$100", "window": "month", "at": {"80%": "warn"}}]
    assert found["acme"]["keys"]["app"]["meters"] == [
        {"cap": "10 requests", "window": "1m"}, {"cap": "$5", "window": "lifetime"},
    ]  # fmt: skip
    assert {line.path[-1]: line.message for line in said.losses}.keys() == {"metadata", "model_rpm_limit"}
    assert {line.path[-1] for line in said.notes} == {"max_budget", "spend"}


def test_a_key_with_other_models_has_its_teams_limits_apart_and_that_is_told() -> None:
    teams = [{"team_id": "t", "team_alias": "acme", "models": ["a", "b"], "rpm_limit": 5}]
    found, said = carried([key(team_id="t", models=["a"])], teams)
    assert found["acme-app"]["meters"] == found["acme"]["meters"] == [{"cap": "5 requests", "window": "1m"}]
    assert "the team's limits hold there apart" in said.losses[0].message


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        (["abc"], "return_full_object=true"),
        ([key(token="sk-plain")], "token is not the SHA-256"),
        ([{}], "token is not the SHA-256"),
        ([key(expires="soon")], "not a time"),
        ({"keys": 5}, "expected a list of keys"),
    ],
)
def test_a_key_that_cannot_be_read_is_left_out_and_told(keys: Any, why: str) -> None:
    found, said = carried(keys)
    assert found == {}
    assert why in said.losses[0].message


def test_a_model_that_does_not_exist_is_told() -> None:
    found, said = carried([key(models=["a", "aa", "no-default-models"])])
    assert found["app"]["models"] == ["a"]
    assert "there is no model" in said.losses[0].message
