"""What is kept of a request: the columns of a record, and the ids that name it.

A `Record` is mutable while its request lives and is written once, when the request ends. Stored form: a MessagePack
array in the order of the fields below, so fields are only ever **appended, with a default**: old journals then read
as records with the default, and old readers skip what they do not know. The last one is a text: zero bytes at the end
of a file are taken for unwritten, so no entry may end in one. Nothing here holds a prompt or an answer.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias, TypeVar

import msgspec

MAX_ATTEMPTS: Final = 32
"""Attempts kept in a record whose size had to be capped: the first and the last ones of more."""
MAX_TEXT_BYTES: Final = 256
"""UTF-8 bytes kept of each text in a record whose size had to be capped."""
MAX_LOADS: Final = 32
"""Candidates' loads kept per attempt in a record whose size had to be capped."""
MAX_READINGS: Final = 16
"""Readings of meters kept in a record whose size had to be capped."""

_INT_MAX: Final = 2**63 - 1


class Attempt(msgspec.Struct, array_like=True, gc=False):
    """One try at one endpoint. Durations are milliseconds since the request's start, 0.0 for what did not happen."""

    backend: str = ""
    """The backend's name in the configuration."""
    endpoint: str = ""
    """The address tried."""
    reason: str = ""
    """Why this try was made, in policy's word: first, retry, fallback…"""
    choice: str = ""
    """Why this endpoint, in policy's word: sticky, least_outstanding…"""
    loads: list[int] = []  # msgspec copies an empty default for each instance
    """Outstanding requests of every candidate when it was chosen, in the configuration's order: what replays the
    choice."""
    status: int = 0
    """The HTTP status the endpoint sent; 0 when none came."""
    code: str = ""
    """"ok" or the code of the error this try ended with."""
    sent_ms: float = 0.0
    """The request was handed to the connection."""
    first_byte_ms: float = 0.0
    """The first byte of the answer's body came."""
    ended_ms: float = 0.0
    """The try was over."""
    # -- what replays the choice, and what followed a failure
    out_of_service: list[int] = []
    """Which candidates were not in service when it was chosen, counted from 0 in the configuration's order."""
    draw: int = 0
    """The random number that chose among equals, in parts of 2⁵³; 0 where none did."""
    endpoints_left: int = 0
    """Of a try that failed: the candidates in service that had not been tried by then."""
    then: str = ""
    """Of a try that failed, why what followed did, in policy's word: other_endpoint, attempts_spent…"""


class Record(msgspec.Struct, array_like=True, gc=False):
    """One served or refused request. Empty text and None mean "not known", never zero."""

    id: str = ""
    """`RequestIds`; sent to the caller as `x-request-id`."""
    started_ns: int = 0
    """Wall time of the first byte of the request, nanoseconds since the Unix epoch."""
    tenant: str = ""
    """Empty until the key was recognised."""
    key: str = ""
    """The key's name in the configuration, never the key."""
    endpoint: str = ""
    """chat, messages, infer and so on, or models; empty for an unknown path."""
    alias: str = ""
    """The model as the caller named it."""
    stream: bool = False
    snapshot: str = ""
    """Digest (hex) of the configuration the request ran under."""
    backend: str = ""
    """The backend that answered, or was tried last; **set only once the alias was resolved**, so that an empty one
    says `alias` may be anything a caller sent."""
    served_model: str = ""
    """What that backend calls the model."""
    attempts: list[Attempt] = []
    # Every token is in one class, as in `wire.usage.Usage`; all four are known or none is.
    input_tokens: int | None = None
    """Without those read from a cache."""
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    """Without reasoning."""
    reasoning_tokens: int | None = None
    status: int = 0
    """The HTTP status the caller got; 0 when none was sent."""
    code: str = ""
    """"ok", the code of an error of `gateway.errors`, "cancelled" (the caller left) or "crashed" (the worker died)."""
    outcome: str = ""
    """answered, refused (by us, before any backend was called), cancelled, failed, or crashed."""
    first_byte_ms: float = 0.0
    """From the start to the first byte of the answer's body (ttft when it streams); 0.0 when none was sent."""
    total_ms: float = 0.0
    """From the start to the last byte."""
    body_bytes: int = 0
    answer_bytes: int = 0
    """Bytes of body received from, and sent to, the caller."""
    caller_request_id: str = ""
    """The caller's own `x-request-id`."""
    traceparent: str = ""
    """W3C trace context as the caller sent it."""
    conversation: str = ""
    """The conversation's id, or the prefix's digest that stands for one."""
    end_user: str = ""
    """`user` of the body: a subject under the key, never a right."""
    rows: int | None = None
    """Of a call of a classic model: the first dimension of its first input."""
    version: str = ""
    """Of a classic model: the version asked for, then the one that answered."""
    # -- meters; money in nano-dollars
    charge_nanos: int | None = None
    """What the tenant pays; None where nothing has a price."""
    waste_tokens: int = 0
    """Output tokens the backend made and nobody got, after the gateway cut the answer or the caller left; not among
    `output_tokens`."""
    waste_nanos: int = 0
    """Their price: within `charge_nanos` when the caller left, beside it (the operator's) when the gateway cut."""
    # The last hold: what the request could have used at most.
    held_input: int = 0
    held_output: int = 0
    held_nanos: int = 0
    readings: list[tuple[str, int, int]] = []
    """Of meters that acted on the request: key of the bucket, used before it, cap; both in the meter's own unit."""
    usage_from: str = ""
    """Where the settled usage comes from: backend (stated at the end), running (the backend's running count), bound
    (our own, since the backend stated none that can be believed), held (the whole hold: nobody saw the end), none
    (nothing was used). Empty for a request that was not let in, or that no meter counts."""
    action: str = ""
    """What meters did, words separated by spaces: downgraded:MODEL, clamped:TOKENS (of each answer), cut, beyond (more
    was used than was held: settled as held), refused:KEY."""
    project: str = ""
    """The project it is booked to; empty for none."""
    verdicts: str = ""
    """What checks found, words separated by spaces: `phase:check:code:action:score:count`, the score being the highest
    of so many findings; the action is would_ACTION where the check only observes. Of a check that did not judge, the
    code says why (late, unavailable, unpaid, raised, nonsense), the action fail_open or fail_closed."""
    # What models used that judged its texts (`model` checks).
    judge_input_tokens: int = 0
    """Cached ones included."""
    judge_output_tokens: int = 0
    judge_nanos: int = 0
    """Their price, within `charge_nanos`."""
    judges: str = ""
    """The models that were asked, separated by spaces, each once."""
    # -- what replays a bound
    asked_output: int = 0
    """Output tokens that all answers together could have used at most: the caller's limit, else the model's. Known
    where not all of it was held at once, or what was held grew; 0 elsewhere: then it is `held_output`."""
    answers: int = 0
    """How many answers that was for, where not all of it was held at once; 0 elsewhere."""
    chain: str = ""
    """The chain of checks it went through; empty for none."""
    timings: str = ""
    """What took time beside the backends, words separated by spaces: `stage:check:began_us:took_us:spent_us:times`
    (`policy.timings.Timed`); the stage is request, answer, or run for a classic model that ran in the gateway."""


Fields: TypeAlias = tuple[Any, ...]
"""The values of a `Record`, in the order of its columns: encoded, they are the same bytes."""


class Opened(msgspec.Struct, array_like=True, gc=False):
    """What is written before a backend is called: enough to make a record of if the worker dies. Fields mean what
    `Record`'s do."""

    id: str
    started_ns: int
    tenant: str
    key: str
    endpoint: str
    alias: str
    backend: str
    snapshot: str = ""
    stream: bool = False
    held_input: int = 0
    held_output: int = 0
    held_nanos: int = 0
    end_user: str = ""
    conversation: str = ""
    action: str = ""
    project: str = ""
    moved: bool = False
    """Written again because another model is asked now, whose meters of requests count it too."""


def crashed(opened: Opened) -> Record:
    """The record of a request whose worker died: no status was known to have been sent, and no usage is known. It is
    charged what it held.
    """
    return Record(
        id=opened.id,
        started_ns=opened.started_ns,
        tenant=opened.tenant,
        key=opened.key,
        endpoint=opened.endpoint,
        alias=opened.alias,
        stream=opened.stream,
        snapshot=opened.snapshot,
        backend=opened.backend,
        status=0,
        code="crashed",
        outcome="crashed",
        conversation=opened.conversation,
        end_user=opened.end_user,
        charge_nanos=opened.held_nanos or None,
        held_input=opened.held_input,
        held_output=opened.held_output,
        held_nanos=opened.held_nanos,
        usage_from="held",
        action=opened.action,
        project=opened.project,
    )


def whole(record: Record | Fields) -> Record:
    """The record of these values."""
    return record if isinstance(record, Record) else Record(*record)


_S = TypeVar("_S", bound=msgspec.Struct)


def capped(entry: _S) -> _S:
    """A copy of a `Record` or an `Opened` that surely fits a journal entry and can surely be encoded.

    Long texts are cut, attempts beyond `MAX_ATTEMPTS`, loads beyond `MAX_LOADS` and readings beyond `MAX_READINGS`
    dropped, numbers clamped, halves of surrogate pairs replaced.
    """
    return type(entry)(*(_cap(getattr(entry, name)) for name in entry.__struct_fields__))


def _cap(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace")[:MAX_TEXT_BYTES].decode("utf-8", "ignore")
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return max(-_INT_MAX, min(_INT_MAX, value))
    if isinstance(value, Attempt):
        return capped(value)
    if isinstance(value, list):
        if value and isinstance(value[0], Attempt):
            kept = value if len(value) <= MAX_ATTEMPTS else [value[0], *value[1 - MAX_ATTEMPTS :]]
            return [_cap(item) for item in kept]
        if value and isinstance(value[0], tuple):
            return [tuple(map(_cap, item)) for item in value[:MAX_READINGS]]
        return [_cap(item) for item in value[:MAX_LOADS]]
    return value
