"""gateway.config.from_litellm.translate"""

from __future__ import annotations

import pytest

from gateway.config.from_litellm.translate import Imported, translate
from gateway.config.nodes import from_yaml
from gateway.errors import ConfigError

SMALL = "model_list: [{model_name: m, litellm_params: {model: openai/gpt-4o, api_key: os.environ/K}}]\n"


def imported(text: str) -> Imported:
    return translate(from_yaml(text, "config.yaml"), None, None, {})


def test_a_small_configuration_is_carried_whole() -> None:
    found = imported(SMALL)
    assert found.backends == {"openai": {"kind": "provider", "provider": "openai", "api_key": "${K}"}}
    assert found.models == {"m": {"backend": "openai", "served_model": "gpt-4o"}}
    assert found.tenants == {"default": {"models": ["*"], "keys": {}}}
    assert found.keyless
    assert found.report.losses == []


@pytest.mark.parametrize("text", ["", "[]", "model_list: []", "model_list: 5", "model_list: [{model_name: m}]"])
def test_nothing_to_carry_is_an_error_that_says_why(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^config\.yaml"):
        imported(text)


def test_sections_and_settings_that_nobody_knows_are_named() -> None:
    found = imported(SMALL + "guardrails: [x]\nlitellm_setings: {a: 1}\ngeneral_settings: {databse_url: x}\n")
    told = {".".join(map(str, line.path)): line.message for line in found.report.losses}
    assert told.keys() == {"guardrails", "litellm_setings", "general_settings.databse_url"}
    assert "did you mean litellm_settings?" in told["litellm_setings"]
    assert "did you mean database_url?" in told["general_settings.databse_url"]


def test_weights_are_lost_where_they_differ() -> None:
    entry = "{{model_name: m, litellm_params: {{model: hosted_vllm/x, api_base: 'http://{0}:1', weight: {1}}}}}"
    same = f"model_list: [{entry.format('a', 2)}, {entry.format('b', 2)}]"
    other = f"model_list: [{entry.format('a', 2)}, {entry.format('b', 1)}]"
    assert imported(same).report.losses == []
    assert [line.path[-1] for line in imported(other).report.losses] == ["weight", "weight"]


def test_routing_that_balances_alike_is_no_loss() -> None:
    for strategy, losses in (("simple-shuffle", 0), ("least-busy", 0), ("cost-based-routing", 1)):
        found = imported(SMALL + f"router_settings: {{routing_strategy: {strategy}}}")
        assert len(found.report.losses) == losses


def test_variables_of_the_file_are_to_be_set_outside_and_never_kept() -> None:
    found = imported(SMALL + "environment_variables: {REDIS_PASSWORD: hunter2-hunter2}")
    assert "set REDIS_PASSWORD" in found.report.losses[0].message
    assert "hunter2" not in str(found.report.losses[0])


def test_an_extra_model_never_takes_the_name_of_one_in_the_list() -> None:
    entries = [("m", "openai/a"), ("m", "groq/b"), ("m@2", "openai/c")]
    listed = ", ".join(f"{{model_name: {name}, litellm_params: {{model: {model}}}}}" for name, model in entries)
    found = imported(f"model_list: [{listed}]")
    assert found.models["m@2"]["served_model"] == "c"
    assert found.models["m"]["fallback"] == ["m@2.2"]
