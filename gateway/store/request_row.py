"""A request's record while the request lives: the values that become a `Record` when it ends.

Every request sets and reads some forty of them, which costs a compiled class next to nothing and a `msgspec.Struct`
as much as finding a key's tenant, model and plan. What is written is the same, byte for byte.
"""

from __future__ import annotations

from gateway.store.records import Attempt, Fields


class RequestRow:
    """The columns mean what those of `Record` do, and begin as they do."""

    tenant: str = ""
    key: str = ""
    endpoint: str = ""
    alias: str = ""
    stream: bool = False
    snapshot: str = ""
    backend: str = ""
    served_model: str = ""
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    status: int = 0
    code: str = ""
    outcome: str = ""
    first_byte_ms: float = 0.0
    total_ms: float = 0.0
    body_bytes: int = 0
    answer_bytes: int = 0
    caller_request_id: str = ""
    traceparent: str = ""
    conversation: str = ""
    end_user: str = ""
    rows: int | None = None
    version: str = ""
    charge_nanos: int | None = None
    waste_tokens: int = 0
    waste_nanos: int = 0
    held_input: int = 0
    held_output: int = 0
    held_nanos: int = 0
    usage_from: str = ""
    action: str = ""
    project: str = ""
    verdicts: str = ""
    judge_input_tokens: int = 0
    judge_output_tokens: int = 0
    judge_nanos: int = 0
    judges: str = ""
    asked_output: int = 0
    answers: int = 0
    chain: str = ""
    timings: str = ""

    def __init__(self, id: str, started_ns: int) -> None:  # noqa: A002 - the column's name
        self.id = id
        self.started_ns = started_ns
        self.attempts: list[Attempt] = []
        self.readings: list[tuple[str, int, int]] = []

    def fields(self) -> Fields:
        """The values as they are now, in the order of a `Record`'s columns."""
        # fmt: off
        return (
            self.id, self.started_ns, self.tenant, self.key, self.endpoint, self.alias, self.stream, self.snapshot,
            self.backend, self.served_model, self.attempts, self.input_tokens, self.cached_input_tokens,
            self.output_tokens, self.reasoning_tokens, self.status, self.code, self.outcome, self.first_byte_ms,
            self.total_ms, self.body_bytes, self.answer_bytes, self.caller_request_id, self.traceparent,
            self.conversation, self.end_user, self.rows, self.version, self.charge_nanos, self.waste_tokens,
            self.waste_nanos, self.held_input, self.held_output, self.held_nanos, self.readings, self.usage_from,
            self.action, self.project, self.verdicts, self.judge_input_tokens, self.judge_output_tokens,
            self.judge_nanos, self.judges,
            self.asked_output, self.answers, self.chain, self.timings,
        )
        # fmt: on
