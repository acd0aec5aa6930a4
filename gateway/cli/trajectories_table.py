"""Trajectories in a terminal: a line for each, or one of them step by step, in 100 columns. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gateway.cli import admin_table
from gateway.cli.admin_table import Column, Item
from gateway.cli.terminal import visible
from gateway.cli.traces_tree import took

if TYPE_CHECKING:
    from gateway.store.trajectories import Step, Trajectory
    from gateway.wire.transcript import Message

_MOST: Final = admin_table.MOST_CHARS
_NAMES: Final = 11
_LONGEST: Final = 400
"""Characters that are shown of a text: `export` has all of it."""


COLUMNS: Final = (
    Column("UTC", lambda item: item["started"]),
    Column("id", lambda item: item["id"]),
    Column("who", lambda item: item["who"]),
    Column("calls", lambda item: item["calls"]),
    Column("tools", lambda item: item["tools"]),
    Column("took", lambda item: item["took"]),
    Column("cost", lambda item: item["cost"]),
)


def listed(found: Sequence[Trajectory]) -> Iterator[str]:
    """A line for each."""
    if found:
        yield from admin_table.table([_item(each) for each in found], COLUMNS)
        yield ""


def _item(found: Trajectory) -> Item:
    first = found.first
    return {
        "started": _moment(first.started_ns, "%m-%d %H:%M"),
        "id": found.id,
        "who": _cut(f"{first.tenant}/{first.key}", 13),
        "calls": f"{len(found.steps):,}",
        "tools": admin_table.NOTHING if found.calls is None else f"{found.calls:,}",
        "took": took(found.took_ms),
        "cost": _cost(found.charge_nanos),
    }


def whole(found: Trajectory) -> Iterator[str]:
    """Every step of one."""
    first = found.first
    users = found.end_users
    who = f"{first.tenant}/{first.key}"
    who += f", end {'user' if len(users) == 1 else 'users'} {', '.join(users)}" if users else ""
    steps = f"{len(found.steps)} {'call' if len(found.steps) == 1 else 'calls'} of a model"
    tools = "" if found.calls is None else f", {found.calls} tool {'call' if found.calls == 1 else 'calls'}"
    yield from _folded(f"{found.id}: ", who)
    began, cost = _moment(first.started_ns, "%Y-%m-%d %H:%M:%S"), _cost(found.charge_nanos)
    yield f"{began} UTC: {steps}{tools}, {took(found.took_ms)}, {cost}"
    calls = frozenset(call.id for step in found.steps for call in step.calls)
    for number, step in enumerate(found.steps, 1):
        yield ""
        yield from _step(number, step, first.started_ns, calls)


def _step(number: int, step: Step, began_ns: int, calls: frozenset[str]) -> Iterator[str]:
    record = step.record
    after = took((record.started_ns - began_ns) / 10**6)
    ended = f"{record.status} {record.code}" if record.status else record.code
    told = f"{record.alias}: {ended}, {took(record.total_ms)}"
    if record.input_tokens is not None:
        given = record.input_tokens + (record.cached_input_tokens or 0)
        made = (record.output_tokens or 0) + (record.reasoning_tokens or 0)
        told += f", {given:,}→{made:,} tokens"
    yield from _folded(f"{number:>2}  +{after}  ", f"{told}, {_cost(record.charge_nanos)}")
    yield from _named("record", record.id)
    if step.locked:
        yield from _named("locked", step.locked)
    elif not step.known:
        yield from _named("content", "not kept")
    for message in step.said:
        yield from _message(message)
        yield from _from_before(message, calls)
    if step.answer is not None:
        yield from _message(step.answer)
    for call in step.calls:
        yield from _named("tool call", _cut(f"{call.name} {call.arguments}", _LONGEST))
        if call.result is not None:
            yield from _named("", _cut(f"→ after {took(call.took_ms or 0.0)}: {call.result}", _LONGEST))
    if record.verdicts:
        yield from _named("checks", record.verdicts)


def _message(message: Message) -> Iterator[str]:
    from gateway.wire import transcript

    role = str(message.get("role") or "")
    said = transcript.text(message)
    if thought := message.get("reasoning_content"):
        yield from _named("thinks", _cut(str(thought), _LONGEST))
    if said and role != "tool":  # a tool's result stands under its call
        yield from _named(_cut(role, _NAMES - 1), _cut(said, _LONGEST))


def _from_before(message: Message, calls: frozenset[str]) -> Iterator[str]:
    """Tools that a request tells of, and that no step of this trajectory has asked for."""
    from gateway.wire import transcript

    for call_id, name, arguments in transcript.calls(message):
        if call_id not in calls:
            yield from _named("tool call", _cut(f"{name} {arguments}", _LONGEST))
    if message.get("role") == "tool" and str(message.get("tool_call_id")) not in calls:
        yield from _named("", _cut(f"→ {transcript.text(message)}", _LONGEST))


def _named(name: str, text: str) -> Iterator[str]:
    yield from _folded(f"    {visible(name):{_NAMES}}", text)


def _folded(head: str, text: str) -> Iterator[str]:
    words = " ".join(visible(text, keeps="\n").split())
    yield from textwrap.wrap(words, _MOST, initial_indent=head, subsequent_indent=" " * max(4, len(head))) or [head]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _cost(nanos: int | None) -> str:
    return admin_table.NOTHING if nanos is None else f"${nanos / 10**9:.6f}"


def _moment(at_ns: int, form: str) -> str:
    return datetime.fromtimestamp(at_ns // 10**9, UTC).strftime(form)
