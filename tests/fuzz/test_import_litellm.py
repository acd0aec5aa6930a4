"""Whatever a configuration of LiteLLM holds: it is carried into one that runs, or refused with a reason; and no secret
of it is kept."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.cli import import_config
from gateway.config.from_litellm import settings
from gateway.config.from_litellm.translate import translate
from gateway.config.nodes import from_yaml
from gateway.errors import ConfigError

SECRET = "sk-secret-0123456789-abcdefghij"
NAMES = st.sampled_from(["a", "b", "c", "a@2", "b@alone", "gpt-4o", "x y", "*", "openai/*", "ünï", "", "a" * 300])
MODELS = st.sampled_from(
    [
        *(
            "openai/gpt-4o",
            "gpt-4o",
            "hosted_vllm/x",
            "vllm/x",
            "azure/y",
            "anthropic/z",
            "bedrock/a.b",
            "nobody/x",
            "x",
        ),
        *("openai/", "/", "openai/*", "os.environ/MODEL", "ollama/llama3", "litellm_proxy/m", "openai/a\nb"),
    ]
)
BASES = st.sampled_from(
    [
        *("http://a:8000", "http://a:8000/v1", "http://b:8000/v1/", "https://api.example.com/v1", "os.environ/BASE"),
        *("https://x.example.com/openai/deployments/y?api-version=1", "http://u:p@h", "nowhere", "", "http://[::1]:1"),
        *("unix:///run/x.sock", "https://a.b/" + "c" * 300, "http://a:0"),
    ]
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 10**7), st.floats(allow_nan=False, allow_infinity=False), st.just(SECRET)
)
ANYTHING = st.recursive(
    LEAVES | NAMES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)


def settings_of(table: Any, **own: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A section: some known settings, its own ones, and what nobody knows."""
    known = st.dictionaries(st.sampled_from([*table, "tyop"]), ANYTHING, max_size=3)
    return st.builds(lambda rest, mine: {**rest, **mine}, known, st.fixed_dictionaries({}, optional=own)) | ANYTHING


AMOUNTS = st.sampled_from([0, 1, 2.5, 1e-12, "30", -1, 10**20]) | ANYTHING
BUDGETS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("max_budget", "soft_budget", "rpm_limit", "tpm_limit", "max_parallel_requests"), AMOUNTS),
    "budget_duration": st.sampled_from(["1d", "30d", "90m", "1y"]) | ANYTHING,
    "litellm_budget_table": st.fixed_dictionaries({}, optional={"max_budget": AMOUNTS, "rpm_limit": AMOUNTS})
    | ANYTHING,
    "budget_limits": st.lists(st.fixed_dictionaries({"max_budget": AMOUNTS}), max_size=2) | ANYTHING,
}

PARAMETERS = settings_of(
    settings.DEPLOYMENT,
    model=MODELS | ANYTHING,
    api_base=BASES | ANYTHING,
    api_key=st.sampled_from([SECRET, "os.environ/KEY", "none"]) | ANYTHING,
    order=ANYTHING,
    weight=ANYTHING,
    rpm=AMOUNTS,
    tpm=AMOUNTS,
    input_cost_per_token=AMOUNTS,
    output_cost_per_token=AMOUNTS,
    custom_llm_provider=st.sampled_from(["groq", "openai", "No Such"]) | ANYTHING,
)
GOOD = st.fixed_dictionaries(
    {"model_name": NAMES, "litellm_params": st.fixed_dictionaries({"model": MODELS}, optional={"api_base": BASES})}
)
ENTRY = GOOD | st.fixed_dictionaries(
    {}, optional={"model_name": NAMES | ANYTHING, "litellm_params": PARAMETERS, "model_info": settings_of({"id": ""})}
)
FALLBACKS = st.lists(st.dictionaries(NAMES, st.lists(NAMES | ANYTHING, max_size=4), max_size=2), max_size=4) | ANYTHING
TIMES = st.sampled_from([0, 1, 2.5, 600, 10**9, "30", "os.environ/T"]) | ANYTHING
CONFIGS = st.fixed_dictionaries(
    {"model_list": st.lists(ENTRY, min_size=1, max_size=6)},
    optional={
        "litellm_settings": settings_of(
            settings.LITELLM,
            max_budget=AMOUNTS,
            max_end_user_budget=AMOUNTS,
            fallbacks=FALLBACKS,
            default_fallbacks=ANYTHING,
            num_retries=TIMES,
            request_timeout=TIMES,
        ),
        "router_settings": settings_of(
            settings.ROUTER,
            fallbacks=FALLBACKS,
            timeout=TIMES,
            num_retries=TIMES,
            model_group_alias=st.dictionaries(NAMES, NAMES | ANYTHING, max_size=3) | ANYTHING,
        ),
        "general_settings": settings_of(
            settings.GENERAL, master_key=st.just(SECRET) | ANYTHING, max_request_size_mb=TIMES
        ),
        "environment_variables": ANYTHING,
        "credential_list": ANYTHING,
        "tyop": ANYTHING,
    },
)
KEY = st.fixed_dictionaries(
    {"token": st.sampled_from(["ab" * 32, "cd" * 32, SECRET]) | ANYTHING},
    optional={
        "key_alias": NAMES | ANYTHING,
        "team_id": NAMES | ANYTHING,
        "models": st.lists(NAMES, max_size=3) | ANYTHING,
        "expires": st.sampled_from(["2027-01-02T03:04:05.6", "2027-01-02", "soon"]) | ANYTHING,
        "blocked": ANYTHING,
        **BUDGETS,
    },
)
TEAM = st.fixed_dictionaries(
    {"team_id": NAMES}, optional={"team_alias": NAMES, "models": ANYTHING, "blocked": ANYTHING, **BUDGETS}
)


@given(CONFIGS, st.none() | st.lists(TEAM | ANYTHING, max_size=3), st.none() | st.lists(KEY | ANYTHING, max_size=4))
def test_what_is_carried_runs_and_holds_no_secret(config: Any, teams: Any, keys: Any) -> None:
    of_teams, of_keys = (None if each is None else from_yaml(json.dumps(each), "f.json") for each in (teams, keys))
    refused = ""
    try:
        found = translate(from_yaml(json.dumps(config), "config.yaml"), of_teams, of_keys, {})
    except ConfigError as error:
        refused = str(error)
    assert SECRET not in refused
    if refused:
        return
    files = import_config._files(found, "config.yaml")
    doubts = import_config._verified(files, found)  # raises ConfigError for what would not run
    said = "\n".join([*files.values(), *import_config._report(found, "config.yaml", doubts)])
    assert SECRET not in said
