"""LiteLLM's settings that have no counterpart here, each with the reason; and those few that have one. Pure.

The names are those of LiteLLM's reference of its proxy's configuration and of its parameters. A setting that is off
(false, null, empty) is no loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gateway.config.from_litellm import meters as limits
from gateway.config.from_litellm.report import METERS, PRICES, Report, says_nothing, words
from gateway.config.nodes import Node
from gateway.config.shape import Path, nearest

_CALLBACKS = "no callbacks: the gateway writes records, metrics and logs of its own"
_CACHE = "answers are not cached here"
_REDIS = "nothing is shared through Redis: one gateway has what it needs"
_DATABASE = "there is no database: tenants and keys are configuration"
_ADMIN = "there is no admin interface or UI: tenants and keys are configuration"
_BREAKER = "endpoints that fail are left alone by the gateway's own rules (gateway/README.md, When something fails)"
_HEALTH = "endpoints are probed by the gateway's own rules, at no cost"
_SIGN_ON = "callers are identified by keys only"
_CONTENT = "not carried: guardrails and prompts are a later part of the gateway"
_OWN_WAY = "the gateway has its own way for this, which cannot be set"
_CALLERS = "a default for callers' requests: callers say it themselves here"
_ROUTES = "the gateway has no such endpoint or pass-through"
_CREDENTIAL = "set it in the gateway's environment, by the name that LiteLLM documents for the provider"
_DESCRIBES = "describes the model and has no effect on requests here"
_RESETS = "windows are computed from time here: no job resets anything"
_HEADERS = "no headers are added to or passed on with requests"


def _each(reason: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(words(" ".join(names)), reason)


LITELLM: Final[Mapping[str, str]] = {
    **_each(_CALLBACKS, "success_callback failure_callback callbacks service_callbacks turn_off_message_logging"),
    **_each(
        _CALLBACKS, "redact_user_api_key_info langfuse_default_tags redact_messages_in_exceptions s3_callback_params"
    ),
    **_each(_CALLBACKS, "log_raw_request_response datadog_params prometheus_metrics_config callback_settings"),
    **_each(_CACHE, "cache cache_params enable_caching_on_provider_specific_optional_params"),
    **_each(_OWN_WAY, "set_verbose json_logs modify_params enable_preview_features force_ipv4 telemetry ssl_verify"),
    **_each(_OWN_WAY, "disable_hf_tokenizer_download enable_json_schema_validation REPEATED_STREAMING_CHUNK_LIMIT"),
    **_each(_OWN_WAY, "enable_key_alias_format_validation enable_loadbalancing_on_batch_endpoints user_url_validation"),
    **_each(METERS, "max_budget budget_duration max_parallel_requests max_user_budget max_end_user_budget"),
    **_each(
        METERS,
        "max_internal_user_budget internal_user_budget_duration default_max_internal_user_budget tag_budget_config",
    ),
    **_each(
        METERS, "disable_end_user_cost_tracking disable_end_user_cost_tracking_prometheus_only rpm_limit tpm_limit"
    ),
    **_each(_ADMIN, "key_generation_settings upperbound_key_generate_params default_key_generate_params"),
    **_each(_ADMIN, "default_internal_user_params default_team_params default_team_settings public_model_groups"),
    **_each(_CONTENT, "guardrails mcp_aliases prompts prompt_directory global_prompt_directory"),
    **_each(PRICES, "cost_discount_config cost_margin_config"),
    **_each(_CREDENTIAL, "api_key api_base organization vertex_project vertex_location"),
    "content_policy_fallbacks": "a refusal for its content is an answer here, and no reason to ask another model",
    "context_window_fallbacks": "a prompt that is too long is a 400 here, and no reason to ask another model",
    "drop_params": "a field the provider has no word for is a 400 that names it; nothing is dropped in silence",
    "allowed_fails": _BREAKER,
    "retry_after": "the gateway waits between attempts by its own rule",
}

ROUTER: Final[Mapping[str, str]] = {
    **_each(
        _REDIS, "redis_host redis_password redis_port redis_url redis_db cache_responses cache_kwargs caching_groups"
    ),
    **_each(_REDIS, "client_ttl"),
    **_each(_BREAKER, "allowed_fails cooldown_time disable_cooldowns allowed_fails_policy"),
    **_each(_BREAKER, "enable_health_check_routing health_check_staleness_threshold"),
    **_each(
        "attempts are bounded by server.retries for every kind of failure", "retry_policy model_group_retry_policy"
    ),
    **_each("the gateway waits between attempts by its own rule", "retry_after max_retries"),
    **_each("routing by tags is not there: a tenant's models say who may use what", "enable_tag_filtering"),
    **_each("routing by tags is not there: a tenant's models say who may use what", "tag_filtering_match_any"),
    **_each(
        METERS, "provider_budget_config default_max_parallel_requests enable_pre_call_check enable_pre_call_checks"
    ),
    **_each(METERS, "optional_pre_call_checks"),
    **_each(_OWN_WAY, "routing_strategy_args debug_level set_verbose default_priority polling_interval max_fallbacks"),
    **_each(_OWN_WAY, "model_group_affinity_config deployment_affinity_ttl_seconds"),
    **_each(_CALLBACKS, "alerting_config"),
    **_each(_CALLERS, "default_litellm_params"),
    **_each("first_byte_s and idle_s hold for every model alike", "stream_timeout"),
    **{name: LITELLM[name] for name in ("content_policy_fallbacks", "context_window_fallbacks")},
}

GENERAL: Final[Mapping[str, str]] = {
    **_each(_DATABASE, "database_url database_connection_pool_limit database_connection_timeout store_model_in_db"),
    **_each(_DATABASE, "allow_requests_on_db_unavailable disable_spend_logs disable_spend_updates database_type"),
    **_each(_DATABASE, "disable_prisma_schema_update disable_adding_master_key_hash_to_db proxy_batch_write_at"),
    **_each(
        _DATABASE, "maximum_spend_logs_retention_period maximum_spend_logs_retention_interval supported_db_objects"
    ),
    **_each(_DATABASE, "store_prompts_in_spend_logs user_api_key_cache_ttl use_redis_transaction_buffer database_args"),
    **_each(
        _SIGN_ON, "enable_jwt_auth litellm_jwtauth enable_oauth2_auth enable_oauth2_proxy_auth oauth2_config_mappings"
    ),
    **_each(_SIGN_ON, "custom_auth custom_sso custom_key_generate allow_user_auth allowed_ips use_x_forwarded_for"),
    **_each(_SIGN_ON, "litellm_key_header_name service_account_settings allow_client_side_credentials enforced_params"),
    **_each(_SIGN_ON, "enforce_user_param public_routes"),
    **_each(_ADMIN, "ui_access_mode disable_master_key_return default_team_disabled admin_only_routes allowed_routes"),
    **_each(_ADMIN, "litellm_license user_mcp_management_mode"),
    **_each(
        _CALLBACKS, "alerting alerting_threshold alert_types alerting_args alert_to_webhook_url spend_report_frequency"
    ),
    **_each(METERS, "max_parallel_requests global_max_parallel_requests max_response_size_mb"),
    **_each(_RESETS, "disable_reset_budget proxy_budget_rescheduler_min_time proxy_budget_rescheduler_max_time"),
    **_each(METERS, "disable_retry_on_max_parallel_request_limit_error"),
    **_each(_HEALTH, "background_health_checks health_check_interval health_check_details health_check_concurrency"),
    **_each(_CREDENTIAL, "key_management_system key_management_settings use_azure_key_vault use_google_kms"),
    **_each(_HEADERS, "forward_client_headers_to_llm_api forward_openai_org_id"),
    **_each(_ROUTES, "pass_through_endpoints use_client_credentials_pass_through_routes image_generation_model"),
    **_each(_ROUTES, "moderation_model proxy_batch_polling_interval disable_responses_id_security"),
    **_each("a request names its model", "completion_model embedding_model infer_model_from_keys"),
    **_each(_OWN_WAY, "reject_clientside_metadata_tags token_rate_limit_type coding_agent"),
}

DEPLOYMENT: Final[Mapping[str, str]] = {
    **_each(METERS, "rpm tpm itpm otpm max_parallel_requests max_budget budget_duration"),
    **_each(METERS, "default_api_key_tpm_limit default_api_key_rpm_limit"),
    **_each(PRICES, "input_cost_per_token output_cost_per_token input_cost_per_second output_cost_per_second"),
    **_each(PRICES, "input_cost_per_pixel output_cost_per_pixel cache_read_input_token_cost"),
    **_each(PRICES, "cache_creation_input_token_cost input_cost_per_character output_cost_per_character"),
    **_each("limits hold for every model alike (server.limits)", "timeout stream_timeout"),
    **_each("attempts are bounded by server.retries for every model alike", "max_retries num_retries retry_policy"),
    **_each(_BREAKER, "cooldown_time allowed_fails"),
    **_each("routing by tags is not there: a tenant's models say who may use what", "tags"),
    **_each(_CREDENTIAL, "api_version organization azure_ad_token tenant_id client_id client_secret azure_scope"),
    **_each(_CREDENTIAL, "azure_username azure_password vertex_project vertex_location vertex_credentials region_name"),
    **_each(_CREDENTIAL, "aws_access_key_id aws_secret_access_key aws_session_token aws_region_name aws_session_name"),
    **_each(_CREDENTIAL, "aws_profile_name aws_role_name aws_web_identity_token aws_sts_endpoint aws_external_id"),
    **_each(_CREDENTIAL, "aws_bedrock_runtime_endpoint watsonx_region_name"),
    **_each(_HEADERS, "extra_headers headers default_headers"),
    **_each(_CALLERS, "temperature top_p top_k max_tokens max_completion_tokens n seed stop presence_penalty"),
    **_each(_CALLERS, "frequency_penalty logit_bias response_format user stream reasoning_effort thinking extra_body"),
    **_each(_CALLERS, "tools tool_choice parallel_tool_calls metadata merge_reasoning_content_in_choices"),
    **_each(_OWN_WAY, "use_in_pass_through use_litellm_proxy allowed_openai_params modify_params ssl_verify"),
    **_each(_OWN_WAY, "configurable_clientside_auth_params additional_drop_params litellm_trace_id mock_response"),
    **_each(_CONTENT, "prompt_id prompt_variables guardrails"),
    "drop_params": LITELLM["drop_params"],
}

ENTRY: Final[Mapping[str, str]] = _each(METERS, "rpm tpm")
"""Beside `model_name`, where they stood once."""

MODEL_INFO: Final[Mapping[str, str]] = {
    **{name: why for name, why in DEPLOYMENT.items() if why in (PRICES, METERS)},
    **_each(
        _DESCRIBES,
        "id base_model description tier max_tokens max_input_tokens max_output_tokens metadata litellm_provider",
    ),
    **_each(
        _DESCRIBES, "db_model created_at updated_at created_by updated_by supports_vision supports_function_calling"
    ),
    **_each(_DESCRIBES, "supports_parallel_function_calling supports_response_schema supports_system_messages"),
    **_each(_DESCRIBES, "supports_audio_input supports_prompt_caching supports_reasoning supported_environments type"),
    **_each(_HEALTH, "health_check_model health_check_timeout disable_background_health_check health_check_voice"),
    **_each(_ADMIN, "team_id team_public_model_name blocked discoverable"),
}

SECTIONS: Final[Mapping[str, str]] = {
    **_each(_CONTENT, "guardrails policies policy_attachments prompts mcp_servers mcp_tools"),
    **_each(_CALLBACKS, "callback_settings"),
    **_each(_ROUTES, "vector_store_registry search_tools sandbox_tools"),
    **_each(_ROUTES, "files_settings finetune_settings assistant_settings batch_settings"),
    "include": "included files were not read: import each, or put them together first",
}
"""Sections of the file that are not carried as a whole."""

LITELLM_METERS: Final = ("max_budget", "budget_duration", "max_end_user_budget")
GENERAL_METERS: Final[Mapping[str, str]] = {"global_max_parallel_requests": "", "max_parallel_requests": "model"}
"""Settings that are carried as meters of the gateway; of the second, for what each is one."""

ATTEMPTS_MOST = 10
SECONDS_MOST = 86_400
BYTES_MOST = 2**40


_VARIABLES: Final[Mapping[str, str]] = {
    "api_version": "AZURE_API_VERSION",
    "azure_ad_token": "AZURE_AD_TOKEN",
    "tenant_id": "AZURE_TENANT_ID",
    "client_id": "AZURE_CLIENT_ID",
    "client_secret": "AZURE_CLIENT_SECRET",
    "organization": "OPENAI_ORGANIZATION",
    "aws_access_key_id": "AWS_ACCESS_KEY_ID",
    "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "aws_session_token": "AWS_SESSION_TOKEN",
    "aws_region_name": "AWS_REGION_NAME",
    "aws_profile_name": "AWS_PROFILE",
    "vertex_project": "VERTEXAI_PROJECT",
    "vertex_location": "VERTEXAI_LOCATION",
    "vertex_credentials": "GOOGLE_APPLICATION_CREDENTIALS",
}
"""Parameters that litellm also takes from the environment: one value for all backends."""


def refuse_all(
    entries: Mapping[str, Node], path: Path, known: Mapping[str, str], report: Report, done: Iterable[str]
) -> None:
    """Tells each setting that is not `done` as lost, with its reason, or as unknown with the nearest known one."""
    handled = set(done)
    for name, node in entries.items():
        if name in handled or says_nothing(node):
            continue
        why = known.get(name)
        if why == _CREDENTIAL and name in _VARIABLES:
            why = f"set {_VARIABLES[name]} in the gateway's environment: it then holds for every backend"
        if why is None:
            near = nearest(name, sorted({*known, *handled})).partition(";")[0]
            hint = f" ({near})" if near.startswith("did you mean") else ""
            why = f"the importer does not know this setting{hint}: it has no effect"
        report.lost(node, (*path, name), why)


def number(node: Node, path: Path, report: Report) -> float | None:
    """A number more than zero; a loss and None for anything else."""
    value = node.value
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        report.lost(node, path, "expected a number")
        return None
    return float(value)


def server(
    litellm: Mapping[str, Node], router: Mapping[str, Node], general: Mapping[str, Node], report: Report
) -> dict[str, Any]:
    """What becomes of retries, timeouts and sizes: our section `server`."""
    bounds: dict[str, Any] = {}
    found: dict[str, Any] = {}
    retries = of_both("num_retries", "num_retries", litellm, router, report)
    if retries is not None:
        path, node = retries
        count = number(node, path, report)
        if count is not None:
            found["retries"] = {"attempts": min(int(count) + 1, ATTEMPTS_MOST)}
            if count + 1 > ATTEMPTS_MOST:
                report.lost(
                    node, path, f"at most {ATTEMPTS_MOST} attempts are made on a backend, so {ATTEMPTS_MOST} it is"
                )
    timeout = of_both("request_timeout", "timeout", litellm, router, report)
    if timeout is not None:
        path, node = timeout
        seconds = number(node, path, report)
        if seconds:
            seconds = min(seconds, SECONDS_MOST)
            bounds = {"total_s": seconds, "first_byte_s": seconds}
            if seconds < 60:
                bounds["idle_s"] = seconds
            if seconds < 5:
                bounds["connect_s"] = seconds
            report.note(node, path, f"became server.limits: {seconds:g} s for a whole request, and for its first byte")
    size = general.get("max_request_size_mb")
    if size is not None and not says_nothing(size):
        megabytes = number(size, ("general_settings", "max_request_size_mb"), report)
        if megabytes:
            bounds["body"] = max(1, min(int(megabytes * 10**6), BYTES_MOST))
    if bounds:
        found["limits"] = {name: int(value) if float(value).is_integer() else value for name, value in bounds.items()}
    return found


def meters(litellm: Mapping[str, Node], general: Mapping[str, Node], report: Report) -> list[dict[str, Any]]:
    """What becomes of the limits and budgets of the whole proxy: our section `meters`."""
    caps: limits.Caps = {}
    path = ("litellm_settings",)
    budget, each = litellm.get("max_budget"), litellm.get("max_end_user_budget")
    if budget is not None and budget.value is not None:
        caps.update(limits.budget(budget, litellm.get("budget_duration"), (*path, "max_budget"), report))
    if each is not None and each.value is not None:
        caps.update(limits.budget(each, None, (*path, "max_end_user_budget"), report, per="end_user"))
    for name, per in GENERAL_METERS.items():
        node = general.get(name)
        if node is not None and node.value is not None:
            found = limits.read({"max_parallel_requests": node}, ("general_settings",), report)
            caps.update({slot._replace(per=per): limit for slot, limit in found.items()})
    return limits.rendered(caps)


def of_both(
    in_litellm: str, in_router: str, litellm: Mapping[str, Node], router: Mapping[str, Node], report: Report
) -> tuple[Path, Node] | None:
    """A setting that may stand in two sections: the router's beats the other, which is told when it says otherwise."""
    ours, other = router.get(in_router), litellm.get(in_litellm)
    if ours is not None and ours.value is not None:
        if other is not None and other.value not in (None, ours.value):
            path = ("litellm_settings", in_litellm)
            report.lost(
                other, path, f"contradicts router_settings.{in_router} ({ours.place}), which wins, as with LiteLLM"
            )
        return ("router_settings", in_router), ours
    if other is not None and other.value is not None:
        return ("litellm_settings", in_litellm), other
    return None
