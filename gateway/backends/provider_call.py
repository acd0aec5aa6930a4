"""What a request to an outside provider may say, and what its failures mean to the gateway. Pure: litellm is not here.

litellm takes everything as keyword arguments, its own switches too (`api_base`, `mock_response`, `fallbacks`), so only
fields named here get through: a caller must not choose where the gateway connects. A field that the provider has no
word for is refused by litellm and never dropped (`drop_params` is off): silence would be a different answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from gateway.errors import InvalidRequest

Json = dict[str, Any]

_NUMBER: Final = (int, float)
_SAMPLING: Final[Json] = {
    **dict.fromkeys(("temperature", "top_p", "presence_penalty", "frequency_penalty"), _NUMBER),
    **dict.fromkeys(("n", "max_tokens", "seed"), int),
    "stop": (str, list),
    "logit_bias": dict,
    "stream": bool,
    "stream_options": dict,
    "user": str,
}
FIELDS: Final[Mapping[str, Json]] = {
    "chat": _SAMPLING
    | {
        **dict.fromkeys(("max_completion_tokens", "top_logprobs", "top_k"), int),
        **dict.fromkeys(("logprobs", "parallel_tool_calls", "store"), bool),
        **dict.fromkeys(("tools", "functions", "modalities"), list),
        **dict.fromkeys(("response_format", "prediction", "audio", "web_search_options", "thinking"), dict),
        **dict.fromkeys(
            ("reasoning_effort", "verbosity", "service_tier", "safety_identifier", "prompt_cache_key"), str
        ),
        **dict.fromkeys(("tool_choice", "function_call"), (str, dict)),
        "messages": list,
    },
    "completions": _SAMPLING | {"prompt": (str, list), "suffix": str, "echo": bool, "best_of": int, "logprobs": int},
    "embeddings": {"input": (str, list), "dimensions": int, "encoding_format": str, "user": str},
}
"""The fields of each endpoint with the types they may have; null counts as left out."""

_NEEDED: Final = {"chat": "messages", "completions": "prompt", "embeddings": "input"}
_TYPES: Final = {int: "a whole number", bool: "true or false", str: "a text", list: "a list", dict: "an object"}

FETCH_THEMSELVES: Final = frozenset(("openai", "azure"))
"""Providers that fetch an image by its URL; for the others litellm would, from inside our network."""

MAX_MESSAGE_CHARS: Final = 500


class Failure(NamedTuple):
    """What the gateway is answered when a provider did not answer: `replies.judge` reads the status."""

    status: int
    code: str
    message: str
    retry_after: str | None = None

    @property
    def body(self) -> Json:
        """OpenAI's shape."""
        kind = "invalid_request_error" if 400 <= self.status < 500 else "upstream_error"
        return {"error": {"message": self.message, "type": kind, "param": None, "code": self.code}}


def arguments(endpoint: str, request: Json, provider: str) -> Json:
    """The keyword arguments for litellm, without the model. Raises InvalidRequest naming the field at fault."""
    fields = FIELDS[endpoint]
    given = {name: value for name, value in request.items() if value is not None and name != "model"}
    for name, value in given.items():
        kind = fields.get(name)
        if kind is None:
            raise InvalidRequest(f"the field {name} cannot be sent to an outside provider", param=name)
        if not _fits(value, kind):
            raise InvalidRequest(f"{name} must be {_named(kind)}", param=name)
    needed = _NEEDED[endpoint]
    if not given.get(needed):
        raise InvalidRequest(f"{needed} is missing or empty", param=needed)
    for name in ("tools", "functions"):
        if not all(isinstance(item, dict) for item in given.get(name, ())):
            raise InvalidRequest(f"{name} must be a list of objects", param=name)
    if endpoint == "chat":
        for index, message in enumerate(given["messages"]):
            _check_message(message, f"messages[{index}]", provider)
    if endpoint == "chat" and "top_k" in given and provider in FETCH_THEMSELVES:
        raise InvalidRequest("this provider has no top_k", param="top_k")
    return given


def _fits(value: object, kind: Any) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, kind)


def _named(kind: Any) -> str:
    if kind is _NUMBER:
        return "a number"
    return " or ".join(_TYPES[each] for each in (kind if isinstance(kind, tuple) else (kind,)))


def _check_message(message: object, path: str, provider: str) -> None:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise InvalidRequest(f"{path} must be an object with a role", param=path)
    content = message.get("content")
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise InvalidRequest(f"{path}.content must be a text or a list of objects", param=f"{path}.content")
    if provider in FETCH_THEMSELVES:
        return
    for index, part in enumerate(content):
        if any(_is_remote(text) for text in _media(part)):
            where = f"{path}.content[{index}]"
            raise InvalidRequest(f"{where}: send it as a data: URL, nothing is fetched for this provider", param=where)


def _media(part: Json) -> Iterator[str]:
    """Every text of a content part that may be an address; not what the caller says."""
    for name, value in part.items():
        if name == "text":
            continue
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from _media(value)


def _is_remote(text: str) -> bool:
    return re.match(r"\s*(https?|ftp|file|gs|s3):", text[:40], re.IGNORECASE) is not None


# -- failures

_NAMED: Final[Mapping[str, tuple[int, str]]] = {
    "ContextWindowExceededError": (400, "context_length_exceeded"),
    "ContentPolicyViolationError": (400, "content_filter"),
    "APITimeoutError": (504, "timeout"),
    "TimeoutError": (504, "timeout"),
    "AuthenticationError": (401, "provider_refused_key"),
    "PermissionDeniedError": (403, "provider_refused_key"),
    "RateLimitError": (429, "rate_limit_exceeded"),
}
"""litellm's exceptions by class name, with what they are to us; the nearest base counts."""

_BY_STATUS: Final[Mapping[int, tuple[int, str]]] = {
    401: (401, "provider_refused_key"),
    402: (403, "provider_wants_payment"),  # the operator's account, not the caller's doing
    403: (403, "provider_refused_key"),
    407: (407, "provider_refused_key"),
    408: (504, "timeout"),
    429: (429, "rate_limit_exceeded"),
    503: (503, "provider_overloaded"),
    504: (504, "timeout"),
    529: (503, "provider_overloaded"),
}


def failure(error: BaseException, secrets: tuple[str, ...], *, sent: bool = True) -> Failure:
    """What a failed call is to the gateway. Words of the provider are kept only for a request it refused (400…), for
    the caller who must change it; `secrets` are struck out of them.

    Where nothing was `sent` and litellm stumbled over the request itself, it is the request's fault: a caller must not
    be able to make a provider look broken.
    """
    if not sent and isinstance(_root(error), KeyError | TypeError | AttributeError | IndexError | ValueError):
        return Failure(400, "provider_rejected", "this request cannot be put into the provider's format")
    names = [base.__name__ for base in type(error).__mro__]
    stated = getattr(error, "status_code", None)
    status = stated if isinstance(stated, int) else 500
    known = next((_NAMED[name] for name in names if name in _NAMED), None) or _BY_STATUS.get(status)
    if known is None:
        known = (status, "provider_rejected") if 400 <= status < 500 else (502, "provider_failed")
    if known[0] == 400 and known[1] == "provider_rejected" and "context_length_exceeded" in str(error):
        known = (400, "context_length_exceeded")
    status, code = known
    refused = 400 <= status < 500 and status not in (401, 403, 407, 429)
    return Failure(status, code, _words(error, secrets) if refused else _OWN_WORDS[status], _retry_after(error))


def _root(error: BaseException) -> BaseException:
    """What an error came of, through all that were raised while it was handled."""
    seen: set[int] = set()
    while (below := error.__cause__ or error.__context__) is not None and id(below) not in seen:
        seen.add(id(below))
        error = below
    return error


_OWN_WORDS: Final = {
    401: "the provider refused the gateway's key",
    403: "the provider refused the gateway's key or account",
    407: "the proxy on the way to the provider refused the gateway",
    429: "the provider's rate limit is reached",
    502: "the provider failed",
    503: "the provider is overloaded",
    504: "the provider did not answer in time",
}


def _words(error: BaseException, secrets: tuple[str, ...]) -> str:
    """What the provider said, out of what litellm wraps around it: class names, advice, the messages of the request."""
    text = str(getattr(error, "message", "") or error)
    text = re.sub(r"^(?:litellm\.\w+: |\w+Error: )+", "", text)
    text = re.sub(r"^\w+(?:Exception|Error) - ", "", text)
    text = _inner(text) or text.split("\n")[0].split(" To drop these,")[0]
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    return text[:MAX_MESSAGE_CHARS] or "the provider refused the request"


def _inner(text: str) -> str | None:
    """The message of an error that a provider wrote as JSON."""
    try:
        inner = json.loads(text)
    except ValueError:
        return None
    if isinstance(inner, dict) and isinstance(inner.get("error"), dict):
        inner = inner["error"]
    said = inner.get("message") if isinstance(inner, dict) else None
    return said if isinstance(said, str) else None


def _retry_after(error: BaseException) -> str | None:
    """The provider's own header, where litellm kept it; a number of seconds only."""
    for headers in (
        getattr(error, "litellm_response_headers", None),
        getattr(getattr(error, "response", None), "headers", None),
    ):
        value = headers.get("retry-after") if isinstance(headers, Mapping) else None
        if isinstance(value, str) and re.fullmatch(r"\d{1,6}", value.strip()):
            return value.strip()
    return None


# -- answers


def whole(answer: Json, endpoint: str) -> Json:
    """litellm's answer in OpenAI's shape: without usage that the provider did not state (litellm then says zeros), the
    price litellm knows, and its own fields where they are empty."""
    usage = answer.get("usage")
    if isinstance(usage, dict):
        usage.pop("cost", None)
        if not any(usage.get(name) for name in ("prompt_tokens", "total_tokens")):
            del answer["usage"]
    for choice in answer.get("choices", ()):
        if endpoint == "chat":
            choice.setdefault("message", {}).setdefault("content", None)
            _prune(choice["message"])
        else:
            choice.setdefault("text", "")
        _prune(choice)
    return answer


def frame(chunk: Json, endpoint: str) -> Json:
    """A chunk of a stream in OpenAI's shape: the one with the usage has no choices."""
    if "usage" in chunk:
        chunk["usage"].pop("cost", None)
        return {**chunk, "choices": []}
    for choice in chunk.get("choices", ()):
        if endpoint == "completions":
            choice.setdefault("text", "")
        else:
            _prune(choice.setdefault("delta", {}))
        _prune(choice)
    return chunk


def _prune(part: Json) -> None:
    own = part.get("provider_specific_fields")
    if isinstance(own, dict) and not any(own.values()):
        del part["provider_specific_fields"]
