"""The tree of a trace: an agent's own spans, and below them what the gateway did for it. Pure.

Clocks differ, and programs lose spans: a child outside its parent's time is shown and marked, a span whose parent is
not there is a root, and so is one that would be its own ancestor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from gateway.store import record_spans
from gateway.store.records import Record
from gateway.store.trace_read import Line, Trace
from gateway.telemetry import agent_spans, genai
from gateway.telemetry.agent_spans import AgentSpan
from gateway.telemetry.logs import Timestamps
from gateway.telemetry.spans import Kind, Span

SLACK_NS: Final = 1_000_000
"""So far a child may stand outside its parent's time without being marked."""
_TIMES: Final = Timestamps()


class Node(msgspec.Struct):
    """One span of a tree. Texts that are empty and None say nothing."""

    span: str
    parent: str
    source: str
    """`gateway` or `agent`: who made it, and by whose clock."""
    name: str
    kind: str
    depth: int = 0
    """0 for a root."""
    started_ns: int = 0
    """Of an agent's span whose clock is wrong by more than a week: when it came."""
    at_ms: float = 0.0
    """After the first span of the trace began."""
    took_ms: float = 0.0
    error: bool = False
    error_type: str = ""
    lost_parent: bool = False
    """It names a parent that is not there."""
    outside: bool = False
    """It began before its parent did, or ended after it."""
    operation: str = ""
    model: str = ""
    agent: str = ""
    tool: str = ""
    request: str = ""
    """Of the gateway's: the id of the request, which `lockgate explain` takes."""
    input_tokens: int | None = None
    """Cached ones included; output with reasoning. Of the gateway's they stand at the request alone, as its cost."""
    output_tokens: int | None = None
    cost_usd_nanos: int | None = None
    """Of the gateway's what the tenant pays, of an agent's what that believes."""
    service: str = ""
    attributes: dict[str, Any] = {}
    events: list[tuple[str, int]] = []
    """Name, and nanoseconds since the epoch."""
    left_out: int = 0


class Tree(msgspec.Struct):
    """A trace, its spans in the order in which a tree is drawn: each before those below it, by time."""

    trace: str
    tenant: str
    started: str
    took_ms: float
    requests: int
    agent_spans: int
    errors: int
    outside: int
    lost_parents: int
    input_tokens: int
    """By the requests; where there are none, by the agents' own calls of models. So the output."""
    output_tokens: int
    cost_usd_nanos: int | None
    """What the tenant pays; None where nothing has a price."""
    cut: bool
    """There is more than was read."""
    spans: list[Node]


def listed(line: Line) -> dict[str, Any]:
    """A line of a list, as plain values."""
    return {
        "trace": line.trace,
        "tenant": line.tenant,
        "started": _TIMES.format(line.started_ns),
        "took_ms": (line.ended_ns - line.started_ns) / 1e6,
        "name": line.name,
        "service": line.service,
        "agent_spans": line.agent_spans,
        "requests": line.requests,
        "errors": line.errors,
        "input_tokens": line.input_tokens,
        "output_tokens": line.output_tokens,
        "charge_usd_nanos": line.charge_nanos,
    }


def tree(found: Trace) -> Tree:
    """The tree of everything that was found."""
    nodes = {node.span: node for span in found.agent for node in (_of_agent(span),)}
    for record in found.records:
        for node in _of_record(record):
            nodes.setdefault(node.span, node)
    began = min((node.started_ns for node in nodes.values()), default=0)
    ended = max((_end(node) for node in nodes.values()), default=0)
    for node in nodes.values():
        node.at_ms = (node.started_ns - began) / 1e6
    drawn = list(_drawn(nodes))
    calls = found.records or ()
    charges = [record.charge_nanos for record in calls if record.charge_nanos is not None]
    counting = [node for node in drawn if node.request] or [node for node in drawn if node.operation in _CALLS]
    return Tree(
        trace=found.trace,
        tenant=found.tenant,
        started=_TIMES.format(began),
        took_ms=(ended - began) / 1e6,
        requests=len(calls),
        agent_spans=len(found.agent),
        errors=sum(node.error for node in drawn),
        outside=sum(node.outside for node in drawn),
        lost_parents=sum(node.lost_parent for node in drawn),
        input_tokens=sum(node.input_tokens or 0 for node in counting),
        output_tokens=sum(node.output_tokens or 0 for node in counting),
        cost_usd_nanos=sum(charges) if charges else None,
        cut=found.cut,
        spans=drawn,
    )


_CALLS: Final = frozenset(("chat", "text_completion", "embeddings"))


def _drawn(nodes: dict[str, Node]) -> Iterator[Node]:
    """Every node once, its depth and its marks set."""
    below: dict[str, list[Node]] = {}
    for node in sorted(nodes.values(), key=lambda node: (node.started_ns, node.span)):
        known = node.parent in nodes and node.parent != node.span
        node.lost_parent = bool(node.parent) and not known
        below.setdefault(node.parent if known else "", []).append(node)
    seen: set[str] = set()
    yield from _under(below.get("", []), nodes, below, seen)
    for node in nodes.values():  # what is left goes round in a circle
        if node.span not in seen:
            node.lost_parent = True
            yield from _under([node], nodes, below, seen)


def _under(
    roots: Sequence[Node], nodes: dict[str, Node], below: dict[str, list[Node]], seen: set[str]
) -> Iterator[Node]:
    """Roots and all below them; without recursion, since a trace may be as deep as it has spans."""
    left = [(node, 0) for node in reversed(roots)]
    while left:
        node, depth = left.pop()
        if node.span in seen:
            continue
        seen.add(node.span)
        node.depth = depth
        parent = nodes.get(node.parent) if depth else None
        if parent is not None:
            node.outside = node.started_ns < parent.started_ns - SLACK_NS or _end(node) > _end(parent) + SLACK_NS
        yield node
        left += [(child, depth + 1) for child in reversed(below.get(node.span, []))]


def _end(node: Node) -> int:
    return node.started_ns + int(node.took_ms * 1e6)


def _of_agent(span: AgentSpan) -> Node:
    return Node(
        span=span.span,
        parent=span.parent,
        source="agent",
        name=span.name,
        kind=span.kind,
        started_ns=agent_spans.began_ns(span),
        took_ms=(span.ended_ns - span.started_ns) / 1e6,
        error=span.error,
        error_type=span.error_type,
        operation=span.operation,
        model=span.model,
        agent=span.agent,
        tool=span.tool,
        input_tokens=_together(span.input_tokens, span.cached_input_tokens),
        output_tokens=_together(span.output_tokens, span.reasoning_tokens),
        cost_usd_nanos=span.cost_nanos,
        service=span.service,
        attributes=msgspec.json.decode(span.attributes) if span.attributes else {},
        events=msgspec.json.decode(span.events, type=list[tuple[str, int]]) if span.events else [],
        left_out=span.left_out,
    )


def _of_record(record: Record) -> Iterator[Node]:
    for span in record_spans.spans(record):
        node = _of_ours(span)
        if span.kind is Kind.SERVER:
            node.request = record.id
            node.input_tokens = _together(record.input_tokens, record.cached_input_tokens)
            node.output_tokens = _together(record.output_tokens, record.reasoning_tokens)
            node.cost_usd_nanos = record.charge_nanos
        yield node


def _of_ours(span: Span) -> Node:
    told = span.attributes
    return Node(
        span=span.span_id,
        parent=span.parent_id,
        source="gateway",
        name=span.name,
        kind=span.kind.value,
        started_ns=span.start_ns,
        took_ms=(span.end_ns - span.start_ns) / 1e6,
        error=span.error,
        error_type=str(told.get(genai.ERROR_TYPE, "")),
        operation=str(told.get(genai.OPERATION_NAME, "")),
        model=str(told.get(genai.MODEL, "") or told.get(genai.REQUEST_MODEL, "")),
        attributes=dict(told),
        events=[(event.name, event.at_ns) for event in span.events],
    )


def _together(one: int | None, other: int | None) -> int | None:
    return None if one is None else one + (other or 0)
