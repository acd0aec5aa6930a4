"""`lockgate import litellm`: realistic configurations, what becomes of them, and how it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.config.load import load
from gateway.config.model import Config, Model
from gateway.config.model_meters import TokenPrices

PROVIDERS_AND_VLLM = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: https://my-endpoint-europe.openai.azure.com/
      api_key: "os.environ/AZURE_API_KEY_EU"
      api_version: "2024-02-01"
      rpm: 6
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-ca
      api_base: https://my-endpoint-canada.openai.azure.com/
      api_key: "os.environ/AZURE_API_KEY_CA"
      rpm: 6
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: sk-ant-literal-0123456789abcdef}
  - model_name: bedrock-claude
    litellm_params: {model: bedrock/anthropic.claude-instant-v1, aws_region_name: us-east-1}
  - model_name: qwen
    litellm_params: {model: hosted_vllm/Qwen/Qwen3-8B, api_base: "http://vllm-0:8000/v1", api_key: none}
  - model_name: qwen
    litellm_params: {model: hosted_vllm/Qwen/Qwen3-8B, api_base: "http://vllm-1:8000/v1", api_key: none}
  - model_name: embed
    litellm_params: {model: openai/bge-m3, api_base: "http://embeddings.internal:8000", api_key: os.environ/EMBED_KEY}
    model_info: {mode: embedding}
  - model_name: "anthropic/*"
    litellm_params: {model: "anthropic/*", api_key: os.environ/ANTHROPIC_API_KEY}

litellm_settings:
  drop_params: true
  num_retries: 2
  request_timeout: 120
  fallbacks: [{"gpt-4o": ["claude", "qwen"]}, {"claude": ["gpt-4o"]}]
  context_window_fallbacks: [{"qwen": ["gpt-4o"]}]
  success_callback: ["langfuse"]
  set_verbose: False

router_settings:
  routing_strategy: least-busy
  model_group_alias: {"gpt-4": "gpt-4o"}
  redis_host: os.environ/REDIS_HOST
  redis_password: literal-redis-password-0123456789

general_settings:
  master_key: sk-the-master-key-0123456789abcdef
  database_url: "postgresql://user:literal-db-password@host/db"
"""

SELF_HOSTED = """
model_list:
  - {model_name: small, litellm_params: {model: hosted_vllm/small, api_base: "http://10.0.0.1:8000"}}
  - model_name: large
    litellm_params: {model: hosted_vllm/large, api_base: "http://10.0.0.2:8000/v1", api_key: os.environ/VLLM}
litellm_settings:
  fallbacks: [{small: [large]}]
  num_retries: 1
general_settings: {master_key: os.environ/LITELLM_MASTER_KEY}
"""

ROOT = Path(__file__).parents[4]
SECRETS = ("sk-ant-literal", "literal-redis", "literal-db", "sk-the-master")
VARIABLES = dict.fromkeys(("AZURE_API_KEY_EU", "AZURE_API_KEY_CA", "ANTHROPIC_API_KEY_2", "EMBED_KEY", "VLLM"), "set")


def run(tmp_path: Path, text: str, *options: str, **environ: str) -> Result:
    (tmp_path / "litellm.yaml").write_text(text)
    command = ["import", "litellm", str(tmp_path / "litellm.yaml"), *options]
    return CliRunner().invoke(main, command, env=environ)


def written(tmp_path: Path) -> Config:
    return load(tmp_path / "out", environ=VARIABLES)


def served(config: Config) -> dict[str, tuple[str, str | None, tuple[str, ...]]]:
    found = {}
    for alias, model in config.models.items():
        assert isinstance(model, Model)
        found[alias] = (model.backend, model.served_model, model.fallback)
    return found


def test_providers_and_servers_of_ones_own_are_carried_and_every_loss_is_told(tmp_path: Path) -> None:
    result = run(tmp_path, PROVIDERS_AND_VLLM, "--out", str(tmp_path / "out"))
    assert result.exit_code == 3, result.output
    config = written(tmp_path)
    assert served(config) == {
        "gpt-4o": ("azure-my-endpoint-europe", "gpt-4o-eu", ("gpt-4o@2", "claude", "qwen")),
        "gpt-4o@2": ("azure-my-endpoint-canada", "gpt-4o-ca", ()),
        "gpt-4o@alone": ("azure-my-endpoint-europe", "gpt-4o-eu", ()),
        "gpt-4": ("azure-my-endpoint-europe", "gpt-4o-eu", ("gpt-4o@2", "claude", "qwen")),
        "claude": ("anthropic", "claude-sonnet-4-5", ("gpt-4o@alone",)),
        "bedrock-claude": ("bedrock", "anthropic.claude-instant-v1", ()),
        "qwen": ("vllm-vllm-0", "Qwen/Qwen3-8B", ()),
        "embed": ("vllm-embeddings", "bge-m3", ()),
    }
    assert [meter.cap for meter in config.models["gpt-4o"].meters] == ["6 requests"]
    assert config.models["gpt-4o"].price is None  # LiteLLM's prices are not asked for, and there is no budget
    assert config.server.retries.attempts == 3
    assert (config.server.limits.total_s, config.server.limits.first_byte_s) == (120, 120)
    assert list(config.tenants) == ["admin"]
    for told in (
        "litellm.yaml:8: model_list[0].litellm_params.api_version: set AZURE_API_VERSION",
        "model_list[3].litellm_params.aws_region_name: set AWS_REGION_NAME",
        'model_list[7]: left out: "anthropic/*" is a pattern',
        "litellm_settings.drop_params: ",
        "litellm_settings.context_window_fallbacks: ",
        "litellm_settings.success_callback: ",
        "router_settings.redis_host: ",
        "router_settings.redis_password: ",
        "general_settings.database_url: ",
        "Set in the environment: ANTHROPIC_API_KEY_2, AZURE_API_KEY_CA, AZURE_API_KEY_EU, EMBED_KEY",
        "Prompts go out to: anthropic, azure, bedrock.",
    ):
        assert told in result.output
    assert "set_verbose" not in result.output
    assert (tmp_path / "out" / "import-report.txt").read_text() in result.output


BUDGETS = """
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/OPENAI_API_KEY, max_parallel_requests: 3}
  - model_name: qwen
    litellm_params: {model: hosted_vllm/qwen, api_base: "http://a:8000", input_cost_per_token: 1.0e-7, rpm: 60}
  - model_name: qwen
    litellm_params: {model: hosted_vllm/qwen, api_base: "http://b:8000", input_cost_per_token: 2.0e-7, rpm: 40}
  - {model_name: plain, litellm_params: {model: hosted_vllm/plain, api_base: "http://c:8000"}}
litellm_settings: {max_budget: 500, budget_duration: 30d, max_end_user_budget: 0.5}
general_settings: {master_key: os.environ/LITELLM_MASTER_KEY, global_max_parallel_requests: 100}
"""


def test_prices_budgets_and_limits_are_carried(tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text(
        json.dumps({"gpt-4o-mini": {"input_cost_per_token": 1.5e-7, "output_cost_per_token": 6e-7}})
    )
    options = ["--out", str(tmp_path / "out"), "--prices", str(tmp_path / "map.json")]
    result = run(tmp_path, BUDGETS, *options, LITELLM_MASTER_KEY="sk-a-master-key-0123456789")
    assert result.exit_code == 0, result.output
    config = load(tmp_path / "out", environ={"OPENAI_API_KEY": "k"})
    assert [(meter.cap, meter.window, meter.per) for meter in config.meters] == [
        ("500000000000 usd", "month", None), ("500000000 usd", "lifetime", "end_user"), ("100 concurrent", None, None),
    ]  # fmt: skip
    assert config.models["gpt"].price == TokenPrices(input=150_000_000_000, output=600_000_000_000)
    assert config.models["qwen"].price == TokenPrices(input=200_000_000_000, output=0)
    assert config.models["plain"].price == "free"
    assert [meter.cap for meter in config.models["qwen"].meters] == ["100 requests"]
    assert [meter.cap for meter in config.models["gpt"].meters] == ["3 concurrent"]
    for told in ("costs another amount", "no price is stated for plain: free", "30d became the calendar's month"):
        assert told in result.output


def test_an_outside_model_without_a_price_is_a_loss_where_there_is_a_budget(tmp_path: Path) -> None:
    result = run(tmp_path, BUDGETS, "--out", str(tmp_path / "out"), LITELLM_MASTER_KEY="sk-a-master-key-0123456789")
    assert result.exit_code == 3
    assert "no price is stated for gpt: free here; give LiteLLM's price map with --prices" in result.output


def test_no_secret_is_written_or_shown(tmp_path: Path) -> None:
    shown = run(tmp_path, PROVIDERS_AND_VLLM)
    result = run(tmp_path, PROVIDERS_AND_VLLM, "--out", str(tmp_path / "out"))
    everything = shown.output + result.output
    everything += "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    assert [secret for secret in SECRETS if secret in everything] == []


def test_what_is_shown_without_a_folder_is_what_would_be_written(tmp_path: Path) -> None:
    shown = run(tmp_path, PROVIDERS_AND_VLLM)
    assert shown.exit_code == 3
    run(tmp_path, PROVIDERS_AND_VLLM, "--out", str(tmp_path / "out"))
    for path in (tmp_path / "out").glob("*.yaml"):
        assert path.read_text() in shown.output


def test_a_configuration_that_is_carried_whole_ends_with_0_and_holds_to_lockgate_check(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(tmp_path, SELF_HOSTED, "--out", str(out), LITELLM_MASTER_KEY="sk-a-master-key-0123456789")
    assert result.exit_code == 0, result.output
    checked = CliRunner().invoke(main, ["check", str(out)], env=VARIABLES)
    assert checked.exit_code == 0, checked.output
    assert "No doubts." in checked.output


def test_where_no_key_is_known_one_is_made_and_shown_once(tmp_path: Path) -> None:
    result = run(
        tmp_path, SELF_HOSTED.replace("general_settings", "# general_settings"), "--out", str(tmp_path / "out")
    )
    assert result.exit_code == 0, result.output
    [secret] = [word for word in result.output.split() if word.startswith("lg-")]
    assert secret not in "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    [tenant] = written(tmp_path).tenants.values()
    assert list(tenant.keys) == ["first"]


def test_teams_and_keys_from_litellms_api_keep_their_callers(tmp_path: Path) -> None:
    (tmp_path / "teams.json").write_text(json.dumps([{"team_id": "t", "team_alias": "acme", "models": ["small"]}]))
    keys: list[dict[str, object]] = [
        {"token": f"{number:064x}", "key_alias": f"key-{number}", "team_id": "t", "models": [], "max_budget": None}
        for number in range(30)
    ]
    (tmp_path / "keys.json").write_text(json.dumps({"keys": keys, "total_count": 30}))
    options = ["--teams", str(tmp_path / "teams.json"), "--keys", str(tmp_path / "keys.json")]
    result = run(tmp_path, SELF_HOSTED, *options, "--out", str(tmp_path / "out"))
    assert result.exit_code == 3, result.output  # the master key is not set here
    config = written(tmp_path)
    assert config.tenants["acme"].models == ("small",)
    assert len(config.tenants["acme"].keys) == 30
    assert (tmp_path / "out" / "keys.jsonl").exists()
    assert "What lockgate check will doubt" not in result.output


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model_list: [", "litellm.yaml:2: "),
        ("model_list: []", "no model of model_list can be carried"),
        ("a: 1\na: 2", "is there twice"),
        ("a: !!python/object:os.system {}", "tag"),
        ("\x00", "litellm.yaml:1: "),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_and_nothing_is_written(tmp_path: Path, text: str, told: str) -> None:
    result = run(tmp_path, text, "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert told in result.output
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_never_written_to(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.yaml").write_text("server: {}")
    result = run(tmp_path, SELF_HOSTED, "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "exists already" in result.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.yaml"]


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["import", "litellm", str(tmp_path / "nothing")]).exit_code == 2


def test_the_example_of_the_readme_ends_as_it_says(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    section = re.search(r"^## Moving in from LiteLLM\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    assert section is not None
    example, shown = re.findall(r"^```(?:yaml|text)\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)
    result = run(tmp_path, example, LITELLM_MASTER_KEY="sk-a-master-key-0123456789")
    assert result.exit_code == 3, result.output
    for line in shown.splitlines():
        assert line in result.output
