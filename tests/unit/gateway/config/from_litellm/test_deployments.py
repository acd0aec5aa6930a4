"""gateway.config.from_litellm.deployments"""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config.from_litellm import deployments
from gateway.config.from_litellm.deployments import Deployment, Target
from gateway.config.from_litellm.report import Report
from gateway.config.nodes import from_yaml


def read(text: str, environ: dict[str, str] | None = None, known: Any = None) -> tuple[Deployment | None, Report]:
    said = Report()
    return deployments.read(from_yaml(text, "f"), ("model_list", 0), known or {}, said, environ or {}), said


def target(params: str, **environ: str) -> tuple[Target, str]:
    found, said = read(f"{{model_name: m, litellm_params: {{{params}}}}}", environ)
    assert found is not None, said.losses
    return found.target, found.served


@pytest.mark.parametrize(
    ("params", "expected", "served"),
    [
        (
            "model: hosted_vllm/Qwen/Qwen3-8B, api_base: 'http://vllm-0:8000/v1'",
            Target("vllm", "", "http://vllm-0:8000", None),
            "Qwen/Qwen3-8B",
        ),
        (
            "model: openai/llama3, api_base: 'http://10.0.0.7:8000/v1/', api_key: none",
            Target("vllm", "", "http://10.0.0.7:8000", None),
            "llama3",
        ),
        (
            "model: openai/llama3, api_base: 'https://models.svc.cluster.local', api_key: os.environ/K",
            Target("vllm", "", "https://models.svc.cluster.local", "${K}"),
            "llama3",
        ),
        (
            "model: openai/llama3, api_base: 'https://api.groq.com/openai/v1', api_key: os.environ/K",
            Target("provider", "openai", "https://api.groq.com/openai/v1", "${K}"),
            "llama3",
        ),
        (
            "model: hosted_vllm/m, api_base: 'https://gw.example.com/tenant-a/v1'",
            Target("provider", "hosted_vllm", "https://gw.example.com/tenant-a/v1", None),
            "m",
        ),
        ("model: openai/gpt-4o, api_key: os.environ/K", Target("provider", "openai", None, "${K}"), "gpt-4o"),
        ("model: gpt-4o", Target("provider", "openai", None, None), "gpt-4o"),
        ("model: claude-sonnet-4-5", Target("provider", "anthropic", None, None), "claude-sonnet-4-5"),
        ("model: text-embedding-3-small", Target("provider", "openai", None, None), "text-embedding-3-small"),
        (
            "model: azure/gpt-4o-eu, api_base: 'https://x.openai.azure.com/', api_key: os.environ/K",
            Target("provider", "azure", "https://x.openai.azure.com", "${K}"),
            "gpt-4o-eu",
        ),
        (
            "model: bedrock/anthropic.claude-v2",
            Target("provider", "bedrock", None, None),
            "anthropic.claude-v2",
        ),
        ("model: my-model, custom_llm_provider: groq", Target("provider", "groq", None, None), "my-model"),
        (
            "model: azure/x, api_base: os.environ/AZURE_BASE",
            Target("provider", "azure", "${AZURE_BASE}", None),
            "x",
        ),
        ("model: hosted_vllm/x, api_base: os.environ/BASE", Target("vllm", "", "${BASE}", None), "x"),
    ],
)
def test_each_way_of_writing_a_model_finds_what_serves_it(params: str, expected: Target, served: str) -> None:
    assert target(params) == (expected, served)


def test_an_address_in_the_environment_is_looked_at_where_it_is_known() -> None:
    params = "model: hosted_vllm/x, api_base: os.environ/BASE"
    assert target(params, BASE="http://gpu:8000/v1")[0] == Target("vllm", "", "http://gpu:8000", None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{}", "model_name is missing"),
        ("{model_name: m}", "litellm_params.model is missing"),
        ("{model_name: m, litellm_params: {}}", "litellm_params.model is missing"),
        ("{model_name: m, litellm_params: {model: os.environ/M}}", "stands in the environment"),
        ("{model_name: 'openai/*', litellm_params: {model: 'openai/*'}}", "is a pattern"),
        ("{model_name: m, litellm_params: {model: 'openai/*'}}", "is a pattern"),
        ("{model_name: 'a b', litellm_params: {model: openai/x}}", "cannot be a model's name"),
        ("{model_name: m, litellm_params: {model: antropic/claude}}", "did you mean anthropic?"),
        ("{model_name: m, litellm_params: {model: x, custom_llm_provider: No Such}}", "is no provider"),
        ("{model_name: m, litellm_params: {model: llama3}}", "does not say its provider"),
        ("{model_name: m, litellm_params: {model: hosted_vllm/x}}", "needs an api_base"),
        ("{model_name: m, litellm_params: {model: azure/x, api_base: 'https://u:hunter2@h/'}}", "no credentials"),
        ("{model_name: m, litellm_params: {model: azure/x, api_base: nowhere}}", "is not an address"),
        (
            "{model_name: m, litellm_params: {model: openai/dall-e-3}, model_info: {mode: image_generation}}",
            "image_gen",
        ),
        ("{model_name: m, litellm_params: {model: openai/x, litellm_credential_name: c}}", "there is no credential"),
    ],
)
def test_an_entry_that_cannot_be_served_is_left_out_and_says_why(text: str, why: str) -> None:
    found, said = read(text)
    assert found is None
    [line] = said.losses
    assert line.message.startswith("left out: ")
    assert why in line.message
    assert "hunter2" not in line.message


def test_every_parameter_that_is_not_carried_is_told_with_its_path() -> None:
    found, said = read(
        "{model_name: m, litellm_params: {model: azure/x, api_version: v, rpm: many, temperature: 0, timeout: 3, "
        "tyop: 1, stream_timeout: null, drop_params: false}, "
        "model_info: {id: a, input_cost_per_token: 2, input_cost_per_second: 1, mode: chat}}"
    )
    assert found is not None
    told = {".".join(map(str, line.path[2:])): line.message for line in said.losses}
    assert told.keys() == {
        *(
            "model_info.input_cost_per_second",
            "litellm_params.api_version",
            "litellm_params.rpm",
            "litellm_params.temperature",
        ),
        *("litellm_params.timeout", "litellm_params.tyop", "model_info.id", "model_info.input_cost_per_token"),
    }
    assert "AZURE_API_VERSION" in told["litellm_params.api_version"]
    assert "does not know" in told["litellm_params.tyop"]
    assert told["litellm_params.rpm"] == "expected a number that is not negative"
    assert told["model_info.input_cost_per_token"] == "not carried: a price above $1 a token"


def test_prices_and_limits_are_carried_wherever_they_stand_and_the_deployments_own_win() -> None:
    found, said = read(
        "{model_name: m, tpm: 5, rpm: 1, litellm_params: {model: azure/x, rpm: 6, input_cost_per_token: 1.5e-7}, "
        "model_info: {input_cost_per_token: 1, output_cost_per_token: 6e-7, cache_read_input_token_cost: 0}}"
    )
    assert found is not None
    assert found.price == {"input": "$0.15/1M", "output": "$0.6/1M", "cached_input": "$0/1M"}
    assert {slot.quantity: limit.amount for slot, limit in found.caps.items()} == {
        "requests": 6, "input_tokens": 5, "output_tokens": 5,
    }  # fmt: skip
    assert said.losses == []


def test_a_key_in_the_file_becomes_a_variable_that_must_be_set() -> None:
    found, said = read("{model_name: m, litellm_params: {model: openai/x, api_key: sk-secret-in-file}}")
    assert found is not None
    assert found.target.api_key == "${OPENAI_API_KEY}"
    assert "sk-secret" not in "".join(map(str, said.secrets.values()))


def test_named_credentials_are_looked_up_and_an_entrys_own_parameters_win() -> None:
    known = {"c": {"api_base": from_yaml("https://a.example.com", "f"), "api_key": from_yaml("os.environ/K", "f")}}
    params = "{model_name: m, litellm_params: {model: azure/x, litellm_credential_name: c, api_key: os.environ/L}}"
    found, _ = read(params, known=known)
    assert found is not None
    assert found.target == Target("provider", "azure", "https://a.example.com", "${L}")
