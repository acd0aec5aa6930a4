from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.config.from_litellm import meters
from gateway.config.from_litellm.meters import Caps, Limit, Slot
from gateway.config.from_litellm.report import Report, members
from gateway.config.nodes import from_yaml


def carried(**entry: Any) -> tuple[list[dict[str, Any]], Report]:
    said = Report()
    return meters.rendered(meters.read(members(from_yaml(json.dumps(entry), "f"), (), said), (), said)), said


def test_limits_are_caps_on_a_minute() -> None:
    found, said = carried(rpm_limit=600, tpm_limit=2_000_000, max_parallel_requests=40)
    assert found == [
        {"cap": "600 requests", "window": "1m"},
        {"cap": "2M input_tokens", "window": "1m"},
        {"cap": "2M output_tokens", "window": "1m"},
        {"cap": "40 concurrent"},
    ]
    assert said.losses == []
    assert [line.path for line in said.notes] == [("tpm_limit",)]


@pytest.mark.parametrize(
    ("duration", "window"),
    [(None, "lifetime"), ("1d", "day"), ("24h", "day"), ("7d", "week"), ("30d", "month"), ("1mo", "month"),
     ("1h", "1h"), ("90m", "90m"), ("3d", "72h"), ("30s", "30s"), ("29d", "696h")],
)  # fmt: skip
def test_a_budget_has_the_window_that_its_duration_means(duration: str | None, window: str) -> None:
    found, _ = carried(max_budget=2.5, budget_duration=duration)
    assert found == [{"cap": "$2.5", "window": window}]


@pytest.mark.parametrize("duration", ["60d", "1y", "2mo", "soon", 5, "0s", "99999999d"])
def test_a_budget_for_a_time_that_is_no_window_is_lost(duration: object) -> None:
    found, said = carried(max_budget=2.5, budget_duration=duration)
    assert found == []
    assert "there is no other window" in said.losses[0].message


def test_a_soft_budget_is_a_warning_at_its_share() -> None:
    assert carried(max_budget=8, soft_budget=6)[0] == [{"cap": "$8", "window": "lifetime", "at": {"75%": "warn"}}]
    for more in ({"soft_budget": 6}, {"max_budget": 5, "soft_budget": 6}, {"max_budget": 0, "soft_budget": 0}):
        found, said = carried(**more)
        assert all("at" not in meter for meter in found)
        assert said.losses[0].path == ("soft_budget",)


def test_of_two_caps_on_the_same_the_smaller_holds() -> None:
    table = {"max_budget": 3, "rpm_limit": 7}
    limits = [{"max_budget": 2, "budget_duration": "1d"}, {"max_budget": 1}]
    found, _ = carried(max_budget=5, rpm_limit=6, litellm_budget_table=table, budget_limits=limits)
    assert found == [
        {"cap": "6 requests", "window": "1m"}, {"cap": "$1", "window": "lifetime"}, {"cap": "$2", "window": "day"},
    ]  # fmt: skip


def test_defaults_of_keys_are_one_meter_for_each() -> None:
    assert carried(default_api_key_rpm_limit=5)[0] == [{"cap": "5 requests", "window": "1m", "per": "key"}]


@pytest.mark.parametrize("value", [-1, "many", True, [1], {"a": 1}, "nan", "inf", "1e999999999", "-5"])
def test_what_is_no_number_is_lost(value: object) -> None:
    for name in ("rpm_limit", "max_budget"):
        found, said = carried(**{name: value})
        assert found == []
        assert said.losses[0].message == "expected a number that is not negative"


def test_what_never_applies_is_lost() -> None:
    for entry in ({"rpm_limit": 1e18}, {"max_budget": 1e12}):
        found, said = carried(**entry)
        assert found == []
        assert said.losses[0].message == "so high that it never applies"


def test_a_cap_of_zero_lets_no_call_through() -> None:
    assert carried(max_budget=0, rpm_limit=0)[0] == [
        {"cap": "0 requests", "window": "1m"}, {"cap": "$0", "window": "lifetime"},
    ]  # fmt: skip


def test_deployments_that_are_one_may_together_what_each_may() -> None:
    rate, money = Slot("requests", "60s"), Slot("usd", "day")
    first: Caps = {rate: Limit(5), money: Limit(7)}
    assert meters.summed([first, {rate: Limit(6)}]) == ({rate: Limit(11)}, {money})
    assert meters.summed([]) == ({}, set())
