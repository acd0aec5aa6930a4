"""gateway.config.from_litellm.settings"""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.from_litellm import settings
from gateway.config.from_litellm.report import Report
from gateway.config.nodes import Node, from_yaml


def nodes(text: str) -> dict[str, Node]:
    found: dict[str, Node] = from_yaml(text, "f").value
    return found


def server(litellm: str = "{}", router: str = "{}", general: str = "{}") -> tuple[dict[str, Any], Report]:
    said = Report()
    return settings.server(nodes(litellm), nodes(router), nodes(general), said), said


def test_retries_become_attempts() -> None:
    assert server("{num_retries: 3}")[0] == {"retries": {"attempts": 4}}
    assert server("{num_retries: 0}")[0] == {"retries": {"attempts": 1}}
    found, said = server("{num_retries: 20}")
    assert found == {"retries": {"attempts": 10}}
    assert len(said.losses) == 1


@pytest.mark.parametrize(
    ("seconds", "limits"),
    [
        (600, {"total_s": 600, "first_byte_s": 600}),
        (10, {"total_s": 10, "first_byte_s": 10, "idle_s": 10}),
        (2.5, {"total_s": 2.5, "first_byte_s": 2.5, "idle_s": 2.5, "connect_s": 2.5}),
        (999_999, {"total_s": 86_400, "first_byte_s": 86_400}),
    ],
)
def test_a_timeout_holds_for_the_whole_request_and_no_other_limit_is_longer(seconds: float, limits: Any) -> None:
    assert server(f"{{request_timeout: {seconds}}}")[0] == {"limits": limits}


def test_a_size_is_counted_in_bytes() -> None:
    assert server(general="{max_request_size_mb: 32}")[0] == {"limits": {"body": 32_000_000}}
    assert server(general="{max_request_size_mb: 99999999}")[0] == {"limits": {"body": 2**40}}


def test_the_routers_word_beats_the_other_and_a_contradiction_is_told() -> None:
    found, said = server("{num_retries: 3, request_timeout: 100}", "{num_retries: 1, timeout: 100}")
    assert found["retries"] == {"attempts": 2}
    [line] = said.losses
    assert line.path == ("litellm_settings", "num_retries")
    assert "contradicts router_settings.num_retries (f:1)" in line.message


@pytest.mark.parametrize("value", ["soon", "true", "-1", "[]", ".inf"])
def test_what_is_no_number_is_told_and_not_guessed(value: str) -> None:
    found, said = server(f"{{num_retries: {value}}}")
    assert found == {}
    assert said.losses


def test_settings_that_are_off_are_no_loss_and_unknown_ones_name_the_nearest() -> None:
    said = Report()
    text = "{cache: true, set_verbose: false, callbacks: [], api_key: null, fallbaks: 1, zzz: 1}"
    settings.refuse_all(nodes(text), ("litellm_settings",), settings.LITELLM, said, ("fallbacks",))
    told = {line.path[-1]: line.message for line in said.losses}
    assert told.keys() == {"cache", "fallbaks", "zzz"}
    assert told["cache"] == "answers are not cached here"
    assert "did you mean fallbacks?" in told["fallbaks"]


def test_every_reason_is_a_sentence_of_its_own() -> None:
    for table in (settings.LITELLM, settings.ROUTER, settings.GENERAL, settings.DEPLOYMENT, settings.MODEL_INFO):
        assert all(len(why) > 15 for why in table.values())
        assert all(name == name.strip() and " " not in name for name in table)
