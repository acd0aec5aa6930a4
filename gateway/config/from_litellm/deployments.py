"""One entry of LiteLLM's `model_list` to what would serve it here: a server of one's own, or an outside provider. Pure.

hosted_vllm/NAME, vllm/NAME                                kind: vllm at its `api_base`
openai/NAME (or openai_like, …) with an `api_base` nearby  kind: vllm
the same with a public address or a path of its own        kind: provider, openai, with that `api_base`
PROVIDER/NAME                                              kind: provider
gpt-…, claude-…                                            the provider that LiteLLM takes them for
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from gateway.config import units
from gateway.config.from_litellm import meters, prices, settings
from gateway.config.from_litellm.meters import Caps
from gateway.config.from_litellm.report import Report, holds, is_reference, members, resolved, words
from gateway.config.leaves import Alias, ServedName
from gateway.config.nodes import Node
from gateway.config.shape import Path, nearest

PROVIDERS: Final = frozenset(
    words("""
    ai21 ai21_chat aiml amazon_nova anthropic anthropic_text azure azure_ai azure_text baseten bedrock cerebras
    clarifai cloudflare codestral cohere cohere_chat cometapi custom_openai dashscope databricks datarobot deepgram
    deepinfra deepseek docker_model_runner elevenlabs empower featherless_ai fireworks_ai friendliai galadriel
    gemini gigachat github github_copilot gradient_ai groq heroku hosted_vllm huggingface hyperbolic infinity
    jina_ai lambda_ai litellm_proxy llamafile lm_studio maritalk meta_llama minimax mistral moonshot morph nebius
    nlp_cloud novita nscale nvidia_nim oci ollama ollama_chat oobabooga openai openai_like openrouter ovhcloud
    perplexity petals predibase replicate sagemaker sagemaker_chat sambanova sap snowflake text-completion-codestral
    text-completion-openai together_ai topaz triton v0 vercel_ai_gateway vertex_ai vertex_ai_beta vllm volcengine
    voyage wandb watsonx watsonx_text xai xinference zai
    """)
)
"""litellm's names of providers, as its documentation lists them."""

_OWN_SERVERS: Final = frozenset(("hosted_vllm", "vllm"))
_OPENAI_SHAPED: Final = frozenset(("openai", "openai_like", "custom_openai", "text-completion-openai", "litellm_proxy"))
_PREFIXES: Final = (
    (re.compile(r"(gpt-|chatgpt-|o[1345](-|$)|text-embedding-|ft:gpt|codex-|davinci|babbage)"), "openai"),
    (re.compile(r"claude"), "anthropic"),
)
_NO_KEYS: Final = frozenset(
    words("""
    none null empty na n/a no-key fake fake-key dummy not-needed not-used anything any sk-no-key-required
    no-key-required sk-1234 sk-fake sk-dummy xxx key test token vllm
    """)
)
"""What people write where a server asks for no key."""

_SERVED_MODES: Final = ("chat", "completion", "embedding", "responses")
_HANDLED: Final = (
    "model",
    "api_base",
    "base_url",
    "api_key",
    "custom_llm_provider",
    "weight",
    "order",
    "litellm_credential_name",
)


class Target(NamedTuple):
    """What is asked: `kind` vllm at the address `base`, or the provider `provider` (at `base`, if not its own).
    `api_key` is `${NAME}`."""

    kind: str
    provider: str
    base: str | None
    api_key: str | None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One entry of the list that can be served. Lower `order` is asked first."""

    alias: str
    target: Target
    served: str
    order: float
    groups: tuple[str, ...]
    node: Node
    path: Path
    caps: Caps = field(default_factory=dict)
    price: dict[str, str] = field(default_factory=dict)
    """Prices as they are written; none when nothing is stated."""


class Unserved(Exception):
    """Why an entry cannot be carried."""


def read(
    node: Node, path: Path, credentials: Mapping[str, Mapping[str, Node]], report: Report, environ: Mapping[str, str]
) -> Deployment | None:
    """The deployment of an entry; None after a loss that says why it is left out."""
    entry = members(node, path, report)
    params = members(entry.get("litellm_params"), (*path, "litellm_params"), report)
    info = members(entry.get("model_info"), (*path, "model_info"), report)
    try:
        alias = _alias(entry.get("model_name"))
        params = _with_credential(params, (*path, "litellm_params"), credentials, report)
        target, served = _target(params, (*path, "litellm_params"), report, environ)
        mode = info.get("mode")
        if (
            mode is not None
            and mode.value is not None
            and mode.value not in _SERVED_MODES
            and target.kind == "provider"
        ):
            raise Unserved(f"an outside provider is not asked for {units.shown(mode.value)} here")
    except Unserved as why:
        report.lost(node, path, f"left out: {why}")
        return None
    where = (*path, "litellm_params")
    carried = (*meters.NAMES, *prices.TOKENS, prices.REQUEST)
    settings.refuse_all(params, where, settings.DEPLOYMENT, report, (*_HANDLED, *carried))
    settings.refuse_all(info, (*path, "model_info"), settings.MODEL_INFO, report, ("mode", "access_groups", *carried))
    settings.refuse_all(entry, path, settings.ENTRY, report, ("model_name", "litellm_params", "model_info", *carried))
    caps: Caps = {}
    price: dict[str, str] = {}
    for part, there in ((entry, path), (info, (*path, "model_info")), (params, where)):
        caps.update(meters.read(part, there, report))
        price.update(_price(part, there, report))
    order = params.get("order")
    position = None if order is None else settings.number(order, (*where, "order"), report)
    return Deployment(
        alias=alias,
        target=target,
        served=served,
        order=float("inf") if position is None else position,
        groups=_groups(info, path, report),
        node=node,
        path=path,
        caps=caps,
        price=price,
    )


def _price(entry: Mapping[str, Node], path: Path, report: Report) -> dict[str, str]:
    """The prices that a part of an entry states."""
    found: dict[str, str] = {}
    for name in (*prices.TOKENS, prices.REQUEST):
        node = entry.get(name)
        if node is None or node.value is None:
            continue
        try:
            found.update(prices.price({name: node.value}, alone=True))
        except ValueError as error:
            report.lost(node, (*path, name), f"not carried: {error}")
    return found


def _alias(node: Node | None) -> str:
    if node is None or not isinstance(node.value, str) or not node.value:
        raise Unserved("model_name is missing")
    if "*" in node.value:
        raise Unserved(f"{units.shown(node.value)} is a pattern: name each model (a tenant's models may be patterns)")
    if not holds(Alias, node.value):
        raise Unserved(
            f"{units.shown(node.value)} cannot be a model's name here: letters, digits and any of . _ - : / @ +"
        )
    return node.value


def _with_credential(
    params: dict[str, Node], path: Path, credentials: Mapping[str, Mapping[str, Node]], report: Report
) -> dict[str, Node]:
    name = params.get("litellm_credential_name")
    if name is None:
        return params
    found = credentials.get(str(name.value))
    if found is None:
        raise Unserved(
            f"there is no credential {units.shown(name.value)}; {nearest(str(name.value), list(credentials))}"
        )
    return {**found, **params}


def _groups(info: Mapping[str, Node], path: Path, report: Report) -> tuple[str, ...]:
    node = info.get("access_groups")
    if node is None or not isinstance(node.value, list):
        return ()
    return tuple(str(item.value) for item in node.value)


def _target(params: Mapping[str, Node], path: Path, report: Report, environ: Mapping[str, str]) -> tuple[Target, str]:
    model = params.get("model")
    if model is None or not isinstance(model.value, str) or not model.value:
        raise Unserved("litellm_params.model is missing")
    if is_reference(model.value):
        raise Unserved("litellm_params.model stands in the environment: write it out")
    provider, served = _provider(model.value, params.get("custom_llm_provider"))
    if "*" in served:
        raise Unserved(f"{units.shown(model.value)} is a pattern: name each model")
    if not holds(ServedName, served):
        raise Unserved(f"{units.shown(model.value)} names no model")
    name = "base_url" if "api_base" not in params and "base_url" in params else "api_base"
    base = params.get(name)
    if base is not None and base.value in (None, ""):
        base = None
    if provider in _OWN_SERVERS or (provider in _OPENAI_SHAPED and base is not None):
        if base is None:
            raise Unserved(f"{units.shown(provider)} needs an api_base")
        origin = _origin(base, (*path, name), report, environ)
        if origin is not None and (provider in _OWN_SERVERS or _is_near(origin)):
            if provider not in _OWN_SERVERS:
                report.note(
                    base,
                    (*path, name),
                    "taken for a server such as vLLM, which answers GET /health; if it does not, make the backend "
                    "kind: provider with provider: openai and this api_base",
                )
            return Target("vllm", "", origin, _key(params, path, "vllm", report, may_be_none=True)), served
        if provider in _OWN_SERVERS:
            provider = "hosted_vllm"  # litellm asks a server at a path
        elif provider != "text-completion-openai":
            provider = "openai"
    address = None if base is None else _base(base, (*path, name), report, environ)
    return Target("provider", provider, address, _key(params, path, provider, report)), served


def _provider(model: str, told: Node | None) -> tuple[str, str]:
    """(provider, the model's name there)."""
    prefix, slash, rest = model.partition("/")
    if told is not None and isinstance(told.value, str) and told.value:
        provider = told.value
        if provider not in PROVIDERS:
            raise Unserved(f"{units.shown(provider)} is no provider that the importer knows")
        return provider, rest if slash and prefix == provider else model
    if slash and prefix in PROVIDERS:
        return prefix, rest
    for pattern, provider in _PREFIXES:
        if not slash and pattern.match(model):
            return provider, model
    if slash:
        near = nearest(prefix, sorted(PROVIDERS)).partition(";")[0]
        hint = f" ({near})" if near.startswith("did you mean") else ""
        raise Unserved(f"{units.shown(prefix)} is no provider that the importer knows{hint}: write PROVIDER/MODEL")
    raise Unserved(f"{units.shown(model)} does not say its provider: write PROVIDER/MODEL")


def _key(
    params: Mapping[str, Node], path: Path, provider: str, report: Report, *, may_be_none: bool = False
) -> str | None:
    node = params.get("api_key")
    if node is None or node.value in (None, ""):
        return None
    if may_be_none and str(node.value).lower() in _NO_KEYS:
        return None
    return report.secret(node, (*path, "api_key"), f"{provider}_API_KEY")


def _origin(node: Node, path: Path, report: Report, environ: Mapping[str, str]) -> str | None:
    """Scheme, host and port of a server of OpenAI's API, or `${NAME}`; None when it stands at a path of its own."""
    if is_reference(node.value) and resolved(node.value, environ) is None:
        reference = report.secret(node, path, "")
        report.note(node, path, f"{reference} must hold scheme, host and port only, without /v1")
        return reference
    address = _valid(resolved(node.value, environ))
    parts = urlsplit(address)
    if re.sub(r"/v1$", "", parts.path.rstrip("/")):
        return None
    return f"{parts.scheme}://{parts.netloc}"


def _base(node: Node, path: Path, report: Report, environ: Mapping[str, str]) -> str:
    """The address of a provider's API, or `${NAME}`."""
    if is_reference(node.value):
        return report.secret(node, path, "")
    return _valid(resolved(node.value, environ)).rstrip("/")


def _valid(address: str | None) -> str:
    try:
        units.check_base_url(address or "")
    except ValueError as error:
        raise Unserved(f"api_base is not an address that can be kept: {error}") from None
    return address or ""


def _is_near(origin: str) -> bool:
    """Whether an address looks like one's own: not a public host name over https."""
    parts = urlsplit(origin)
    host = parts.hostname or ""
    own = re.search(r"(^|\.)(localhost|local|lan|internal|svc|cluster\.local|home\.arpa)$", host)
    return parts.scheme == "http" or own is not None or "." not in host or origin.startswith("${")
