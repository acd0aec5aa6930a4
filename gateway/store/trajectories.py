"""An agent's steps, of the records of its calls and what was kept of them: what a model was asked, which tools it asked
for, and what the next request says came of them. Pure: no agent has to tell anything.

Calls belong together by their record's conversation, else by their trace. Where what was said is kept, a conversation
that only opens like another one is told apart: a request goes on where an earlier one's messages stand at its
beginning. Where nothing was kept there are steps without words.

It stands in `store` because it reads records, which the layers below know nothing of.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.store.content import Content, Locked
from gateway.store.records import Record
from gateway.wire import transcript
from gateway.wire.transcript import Asked, Message

_MS: Final = 10**6


class ToolCall(msgspec.Struct):
    """A tool that a model asked for."""

    id: str
    name: str
    arguments: str
    """JSON, as the model wrote it."""
    result: str | None = None
    """What the next request says came of it; None: none does."""
    took_ms: float | None = None
    """From the end of the answer that asks for it to the request that brings the result."""


class Step(msgspec.Struct):
    """One call of a model."""

    record: Record
    said: list[Message] = []
    """What its request says that was not said before; tools' results among them."""
    answer: Message | None = None
    calls: list[ToolCall] = []
    known: bool = False
    """What was said in it was kept, and can be read."""
    locked: str = ""
    """Why it cannot be read, where it was kept."""
    tools: list[Message] = []
    """Those that the model may ask for."""


class Trajectory(msgspec.Struct):
    """The calls of one conversation, in order."""

    id: str
    """The conversation's or the trace's, and a number behind it where several have one."""
    steps: list[Step]

    @property
    def first(self) -> Record:
        """The record of its first call."""
        return self.steps[0].record

    @property
    def models(self) -> list[str]:
        """Those that were asked, in order, each once."""
        return list(dict.fromkeys(step.record.alias for step in self.steps))

    @property
    def end_users(self) -> list[str]:
        """Those for whom it was asked, in order, each once."""
        return list(dict.fromkeys(step.record.end_user for step in self.steps if step.record.end_user))

    @property
    def tools(self) -> list[Message]:
        """Those that the model was last told of, as far as that was kept."""
        return next((step.tools for step in reversed(self.steps) if step.tools), [])

    @property
    def charge_nanos(self) -> int | None:
        """What it cost; None where nothing has a price."""
        charges = [step.record.charge_nanos for step in self.steps if step.record.charge_nanos is not None]
        return sum(charges) if charges else None

    @property
    def took_ms(self) -> float:
        """From its first byte to its last."""
        begun = self.first.started_ns
        return max((step.record.started_ns - begun) / _MS + step.record.total_ms for step in self.steps)

    @property
    def calls(self) -> int | None:
        """How many tools were asked for; None where nothing of it was kept."""
        return sum(len(step.calls) for step in self.steps) if any(step.known for step in self.steps) else None

    @property
    def messages(self) -> list[Message]:
        """All that was said, once, in order, as far as it was kept."""
        found: list[Message] = []
        for step in self.steps:
            found += step.said
            if step.answer is not None:
                found.append(step.answer)
        return found


def name_of(record: Record) -> str:
    """What the calls of its trajectory have in common; empty where nothing tells."""
    return record.conversation or record.traceparent[3:35]


def trajectories(records: Iterable[Record], contents: Mapping[str, Content | Locked]) -> Iterator[Trajectory]:
    """The trajectories of these records, which come in the order in which they began; by their beginnings."""
    groups: dict[tuple[str, str], list[_Thread]] = {}
    order: list[tuple[str, _Thread]] = []
    for record in records:
        name = name_of(record)
        if not name:
            continue
        threads = groups.setdefault((record.tenant, name), [])
        step, asked = _read(record, contents.get(record.id))
        thread = _of(threads, asked)
        if thread is None:
            thread = _Thread()
            threads.append(thread)
            order.append((name if len(threads) == 1 else f"{name}:{len(threads)}", thread))
        thread.add(step, asked)
    for name, thread in order:
        yield Trajectory(name, thread.steps)


class _Thread:
    """A trajectory that is being put together."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.heard: list[bytes] = []
        """The messages of its last request that was kept, to be compared."""
        self.answer: Message | None = None
        """What came of that; refused requests and others that are not kept may stand between."""

    def add(self, step: Step, asked: Asked | None) -> None:
        if asked is not None:
            marks = [_mark(message) for message in asked.messages]
            begin = len(self.heard) if marks[: len(self.heard)] == self.heard else 0
            step.said = asked.messages[begin:]
            if begin and self.answer is not None and step.said and step.said[0].get("role") == "assistant":
                step.said = step.said[1:]  # the answer before, said again
            self.heard, self.answer = marks, step.answer
            self._results(step)
        self.steps.append(step)

    def fits(self, marks: Sequence[bytes]) -> tuple[int, int]:
        """How well a request of these messages goes on from its last one: how many of its messages it begins with, and
        whether the answer stands behind them; zeros where it does not."""
        heard = len(self.heard)
        if not heard or len(marks) <= heard or list(marks[:heard]) != self.heard:
            return 0, 0
        return heard, int(self.answer is not None and marks[heard] == _mark(self.answer))

    def _results(self, step: Step) -> None:
        """Notes what came of the tools that were asked for."""
        results = {
            str(message.get("tool_call_id")): transcript.text(message)
            for message in step.said
            if message.get("role") == "tool"
        }
        for earlier in self.steps:
            for call in earlier.calls:
                if call.result is None and call.id in results:
                    call.result = results[call.id]
                    ended_ms = earlier.record.started_ns / _MS + earlier.record.total_ms
                    call.took_ms = max(0.0, step.record.started_ns / _MS - ended_ms)


def _of(threads: Sequence[_Thread], asked: Asked | None) -> _Thread | None:
    """Which of them a request goes on with; None: it begins another."""
    if not threads:
        return None
    if asked is None:
        return threads[-1]
    marks = [_mark(message) for message in asked.messages]
    best = max(threads, key=lambda thread: thread.fits(marks))
    if any(best.fits(marks)):
        return best
    went_on = asked.continues or any(message.get("role") in ("assistant", "tool") for message in asked.messages)
    return threads[-1] if went_on or not threads[-1].heard else None


def _mark(message: Message) -> bytes:
    said = message.get("role"), message.get("content") or "", transcript.calls(message)
    return json.dumps(said, sort_keys=True).encode()


def _read(record: Record, content: Content | Locked | None) -> tuple[Step, Asked | None]:
    step = Step(record)
    if isinstance(content, Locked):
        step.locked = content.why
    if not isinstance(content, Content):
        return step, None
    asked = transcript.asked(content.endpoint, content.request.data)
    step.answer = transcript.answered(content.endpoint, content.answer.data) if record.status == 200 else None
    step.known = asked is not None
    step.tools = asked.tools if asked is not None else []
    if step.answer is not None:
        step.calls = [ToolCall(*call) for call in transcript.calls(step.answer)]
    return step, asked


def exported(trajectory: Trajectory) -> dict[str, Any]:
    """As programs read it: one JSON object. `messages` and `tools` are of OpenAI's chat format."""
    first, known = trajectory.first, [step.known for step in trajectory.steps]
    return {
        "id": trajectory.id,
        "tenant": first.tenant,
        "project": first.project,
        "key": first.key,
        "end_users": trajectory.end_users,
        "started_ns": first.started_ns,
        "took_ms": trajectory.took_ms,
        "charge_usd_nanos": trajectory.charge_nanos,
        "content": "all" if all(known) else "some" if any(known) else "none",
        "steps": [_step(step) for step in trajectory.steps],
        "messages": trajectory.messages,
        **({"tools": trajectory.tools} if trajectory.tools else {}),
    }


def _step(step: Step) -> dict[str, Any]:
    record = step.record
    return {
        "id": record.id,
        "started_ns": record.started_ns,
        "endpoint": record.endpoint,
        "end_user": record.end_user,
        "model": record.alias,
        "status": record.status,
        "code": record.code,
        "first_byte_ms": record.first_byte_ms,
        "total_ms": record.total_ms,
        "input_tokens": record.input_tokens,
        "cached_input_tokens": record.cached_input_tokens,
        "output_tokens": record.output_tokens,
        "reasoning_tokens": record.reasoning_tokens,
        "charge_usd_nanos": record.charge_nanos,
        "verdicts": record.verdicts,
        "content": "kept" if step.known else "locked" if step.locked else "none",
        "tool_calls": [msgspec.to_builtins(call) for call in step.calls],
    }
