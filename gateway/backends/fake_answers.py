"""What the fake server answers: a request and a rule in, an `Answer` in tokens out. No I/O, no clock, no chance."""

from __future__ import annotations

import hashlib
import itertools
import math
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.backends.fake_script import Rule, ScriptedCall
from gateway.backends.fake_tokens import text_of, token_id, tokenise
from gateway.errors import InvalidRequest

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice, in tokens; all `n` choices of a request are the same."""

    tokens: list[str]
    reasoning: list[str]
    tool_calls: list[tuple[str, str]]  # name, arguments as text
    finish_reason: str
    logprobs: list[float]

    @property
    def text(self) -> str:
        return "".join(self.tokens)

    @property
    def count(self) -> int:
        """Output tokens of this choice."""
        calls = sum(len(tokenise(name)) + len(tokenise(arguments)) for name, arguments in self.tool_calls)
        return len(self.tokens) + len(self.reasoning) + calls


def whole_number(request: Json, field: str, default: int | None, low: int, high: int) -> int | None:
    """An integer field of the request, or `default` when absent or null; InvalidRequest outside `low`..`high`."""
    value = request.get(field)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidRequest(f"{field} must be an integer from {low} to {high}", param=field)
    return value


def content_text(content: object) -> str:
    """The text of a message's content; a part that is not text counts as its digest."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list):
        raise InvalidRequest("content must be a string or a list of parts", param="messages")
    texts: list[str] = []
    for part in content:
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            texts.append(f"<{hashlib.blake2b(msgspec.json.encode(part), digest_size=16).hexdigest()}>")
    return "\n".join(texts)


def chat_prompt(request: Json, template_tokens: int = 0) -> tuple[str, str]:
    """The prompt a model would see (a longer conversation's begins with the shorter one's), the last user message. So
    many tokens of a template stand before it.
    """
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("messages must be a list with at least one message", param="messages")
    lines = [text_of([token_id("tmpl")] * template_tokens)]
    last = ""
    if request.get("tools"):
        lines.append(f"tools: {msgspec.json.encode(request['tools']).decode()}\n")
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise InvalidRequest("each message must be an object with a role", param="messages")
        text = content_text(message.get("content"))
        if message.get("tool_calls"):
            text += msgspec.json.encode(message["tool_calls"]).decode()
        lines.append(f"{message['role']}: {text}\n")
        if message["role"] == "user":
            last = text
    return "".join(lines), last


def texts(value: object, field: str) -> list[str]:
    """A `prompt` or `input` (text, texts, token ids, lists of token ids) as a list of texts."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value:
        if all(isinstance(item, str) for item in value):
            return list(value)
        if all(isinstance(item, int) for item in value):
            return [text_of(value)]
        if all(isinstance(item, list) and item and all(isinstance(number, int) for number in item) for item in value):
            return [text_of(item) for item in value]
    raise InvalidRequest(
        f"{field} must be a text, a list of texts, a list of token ids or a list of such lists", param=field
    )


def decide(request: Json, rule: Rule, last: str) -> Answer:
    """The answer to a chat or completion request: the rule's, or one that honours tools and response_format."""
    calls = rule.tool_calls or _forced_call(request)
    text = (rule.answer or "").replace("{last}", last).replace("{words}", str(len(last.split())))
    schema = _asked_schema(request)
    if schema is not None and not rule.tool_calls and last and text == last:
        text = msgspec.json.encode(sample(schema, schema)).decode()
    tokens = [] if calls else tokenise(text)
    finish_reason = "tool_calls" if calls else "stop"

    limit = whole_number(request, "max_completion_tokens", None, 1, 10**7)
    if limit is None:
        limit = whole_number(request, "max_tokens", None, 0, 10**7)
    wanted = limit if request.get("ignore_eos") and limit is not None else _length(rule)
    if wanted is not None and tokens:
        tokens = list(itertools.islice(itertools.cycle(tokens), wanted))
    tokens, stopped = _stop(tokens, request.get("stop"))
    reasoning = tokenise(rule.reasoning)
    if limit is not None and not calls:
        over = len(reasoning) + len(tokens) > limit
        reasoning = reasoning[:limit]
        tokens = tokens[: limit - len(reasoning)]
        if over or (wanted == limit and not stopped):
            finish_reason = "length"
    return Answer(
        tokens=tokens,
        reasoning=reasoning,
        tool_calls=[(call.name, _arguments(call)) for call in calls],
        finish_reason=rule.finish_reason or finish_reason,
        logprobs=_spread(rule.logprobs or [-0.1], len(tokens)),
    )


def _length(rule: Rule) -> int | None:
    return rule.tokens[0] if isinstance(rule.tokens, tuple) else rule.tokens  # the director has drawn it before


def _arguments(call: ScriptedCall) -> str:
    return call.arguments if isinstance(call.arguments, str) else msgspec.json.encode(call.arguments).decode()


def _spread(values: list[float], count: int) -> list[float]:
    return (values + values[-1:] * count)[:count]


def _stop(tokens: list[str], stop: object) -> tuple[list[str], bool]:
    stops = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    text = "".join(tokens)
    places = [text.find(word) for word in stops if isinstance(word, str) and word and word in text]
    if not places:
        return tokens, False
    return tokenise(text[: min(places)]) if min(places) else [], True


def _forced_call(request: Json) -> list[ScriptedCall]:
    choice = request.get("tool_choice")
    tools = [
        tool["function"]
        for tool in request.get("tools") or []
        if isinstance(tool, dict) and isinstance(tool.get("function"), dict)
    ]
    if isinstance(choice, dict):
        wanted = (choice.get("function") or {}).get("name")
        tools = [tool for tool in tools if tool.get("name") == wanted]
        if not tools:
            raise InvalidRequest("tool_choice names a tool that is not in tools", param="tool_choice")
    elif choice != "required":
        return []
    if not tools:
        raise InvalidRequest("tool_choice needs tools", param="tool_choice")
    schema = tools[0].get("parameters") or {}
    value = sample(schema, schema)
    return [ScriptedCall(str(tools[0].get("name")), value if isinstance(value, dict) else {})]


def _asked_schema(request: Json) -> Json | None:
    form = request.get("response_format")
    if not isinstance(form, dict):
        return None
    if form.get("type") == "json_object":
        return {"type": "object"}
    if form.get("type") == "json_schema":
        outer = form.get("json_schema")
        schema = outer.get("schema") if isinstance(outer, dict) else None
        return schema if isinstance(schema, dict) else {"type": "object"}
    return None


def sample(schema: object, root: Json, depth: int = 0) -> Any:
    """The plainest value that fits a JSON schema (types, enum, const, minimum, lengths, $ref, anyOf); else None."""
    if not isinstance(schema, dict) or depth > 16:
        return None
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        target: Any = root
        for step in reference[2:].split("/"):
            target = target.get(step) if isinstance(target, dict) else None
        return sample(target, root, depth + 1)
    for word in ("anyOf", "oneOf", "allOf"):
        if schema.get(word):
            return sample(schema[word][0], root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else None)
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "object":
            return {name: sample(part, root, depth + 1) for name, part in (schema.get("properties") or {}).items()}
        case "array":
            return [sample(schema.get("items"), root, depth + 1) for _ in range(min(schema.get("minItems", 0), 64))]
        case "string":
            return "a" * max(1, schema.get("minLength", 1))
        case "integer":
            return math.ceil(schema.get("minimum", 0))
        case "number":
            return float(schema.get("minimum", 0.0))
        case "boolean":
            return False
        case _:
            return None


def vector(text: str, dimensions: int) -> list[float]:
    """A unit vector that depends on the words alone: texts that share words are near each other."""
    total = [0.0] * dimensions
    for word in text.lower().split() or [""]:
        for index, byte in enumerate(hashlib.shake_128(word.encode("utf-8", "surrogatepass")).digest(dimensions)):
            total[index] += byte - 127.5
    length = math.sqrt(sum(value * value for value in total))
    return [value / length for value in total]
