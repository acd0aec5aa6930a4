"""An agent's own span under our columns' names: what it is for, of whom and at which cost. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gateway.telemetry import agent_names
from gateway.wire.otlp.sent import Attributes, SentSpan, Value

MOST_CHARS: Final = 200
"""Kept of each text."""
ASKEW_NS: Final = 7 * 86_400 * 10**9
"""A span that began further than that from its coming was told by a clock that is wrong."""
_MOST: Final = 2**63 - 1


class AgentSpan(msgspec.Struct, gc=False):
    """One span as it is kept. Empty text and None mean "not said". Times are nanoseconds since the Unix epoch, by the
    agent's clock."""

    tenant: str = ""
    key: str = ""
    """Name of the key it was sent with."""
    project: str = ""
    request: str = ""
    """Id of the request it came in."""
    received_ns: int = 0
    trace: str = ""
    span: str = ""
    parent: str = ""
    name: str = ""
    kind: str = ""
    started_ns: int = 0
    ended_ns: int = 0
    error: bool = False
    error_type: str = ""
    operation: str = ""
    model: str = ""
    provider: str = ""
    agent: str = ""
    tool: str = ""
    conversation: str = ""
    end_user: str = ""
    # As in a record: every token is in one class.
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_nanos: int | None = None
    """What the agent believes it cost, in billionths of a dollar."""
    service: str = ""
    scope: str = ""
    attributes: str = ""
    """The kept ones that have no column, as a JSON object; empty for none."""
    events: str = ""
    """Name and time of each, as a JSON list; empty for none."""
    left_out: int = 0
    """Attributes that are not kept."""


class Sender(msgspec.Struct, frozen=True, array_like=True):
    """Who sent spans, in which request, and when it came."""

    tenant: str
    key: str
    project: str
    request: str
    received_ns: int


def of(sent: SentSpan, sender: Sender) -> AgentSpan:
    """The span as it is kept."""
    said = sent.attributes
    started = min(sent.start_ns, _MOST)
    given, cached = _count(said, agent_names.INPUT_TOKENS), _count(said, agent_names.CACHED_TOKENS)
    made, reasoning = _count(said, agent_names.OUTPUT_TOKENS), _count(said, agent_names.REASONING_TOKENS)
    error_type = _text(said, agent_names.ERROR_TYPE) or next(
        filter(None, (_text(event.attributes, agent_names.ERROR_TYPE) for event in sent.events)), ""
    )
    operation = _text(said, agent_names.OPERATION)
    return AgentSpan(
        tenant=sender.tenant,
        key=sender.key,
        project=sender.project,
        request=sender.request,
        received_ns=sender.received_ns,
        trace=sent.trace_id,
        span=sent.span_id,
        parent=sent.parent_id,
        name=_clean(sent.name),
        kind=sent.kind,
        started_ns=started,
        ended_ns=max(started, min(sent.end_ns, _MOST)),
        error=sent.error,
        error_type=error_type,
        operation=agent_names.OPERATIONS.get(operation, operation),
        model=_text(said, agent_names.MODEL),
        provider=_text(said, agent_names.PROVIDER),
        agent=_text(said, agent_names.AGENT),
        tool=_text(said, agent_names.TOOL),
        conversation=_text(said, agent_names.CONVERSATION),
        end_user=_text(said, agent_names.END_USER),
        input_tokens=_without(given, cached),
        cached_input_tokens=cached if given is None else cached or 0,
        output_tokens=_without(made, reasoning),
        reasoning_tokens=reasoning if made is None else reasoning or 0,
        cost_nanos=_nanos(said),
        service=_text(sent.resource, agent_names.SERVICE),
        scope=_clean(sent.scope),
        attributes=_rest(said),
        events=_encode([(_clean(event.name), min(event.at_ns, _MOST)) for event in sent.events]) if sent.events else "",
        left_out=sent.left_out,
    )


def began_ns(span: AgentSpan) -> int:
    """When it began; where the agent's clock is wrong, when it came."""
    return span.started_ns if abs(span.started_ns - span.received_ns) < ASKEW_NS else span.received_ns


_IN_COLUMNS: Final = frozenset(
    (
        *(*agent_names.OPERATION, *agent_names.MODEL, *agent_names.PROVIDER, *agent_names.AGENT, *agent_names.TOOL),
        *(*agent_names.CONVERSATION, *agent_names.END_USER, *agent_names.ERROR_TYPE, *agent_names.COST_USD),
        *(*agent_names.INPUT_TOKENS, *agent_names.CACHED_TOKENS),
        *(*agent_names.OUTPUT_TOKENS, *agent_names.REASONING_TOKENS),
    )
)


def _encode(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _clean(text: str) -> str:
    return text[:MOST_CHARS].replace("\0", "�")


def _text(said: Attributes, names: Sequence[str]) -> str:
    for name in names:
        value = said.get(name)
        if isinstance(value, str) and value:
            return _clean(value)
    return ""


def _count(said: Attributes, names: Sequence[str]) -> int | None:
    for name in names:
        value = said.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST:
            return value
    return None


def _without(all_of_them: int | None, part: int | None) -> int | None:
    return None if all_of_them is None else max(0, all_of_them - (part or 0))


def _nanos(said: Attributes) -> int | None:
    for name in agent_names.COST_USD:
        value = said.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
            return min(round(min(value, _MOST) * 10**9), _MOST)
    return None


def _rest(said: Attributes) -> str:
    left: Mapping[str, Value] = {_clean(name): _short(value) for name, value in said.items() if name not in _IN_COLUMNS}
    return _encode(left) if left else ""


def _short(value: Value) -> Value:
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, tuple):
        return tuple(_clean(one) for one in value[:16])
    return value
