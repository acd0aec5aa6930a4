"""The spans of a record: how a request was served, as OpenTelemetry tells it. Pure: nothing is measured for them, and a
record has the same spans whenever they are made.

One span for the request, below it one for each attempt, or for the run of a classic model, and those of its checks
(`check_spans`). A span here has begun and ended, whatever became of the request, since a record is there only once that
is known.

It stands in `store` because it reads records, which `telemetry`, a layer below, knows nothing of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from gateway.config.model import Config, Model, Provider, kind_of
from gateway.policy import timings
from gateway.policy.meters import models_of
from gateway.store.check_spans import CheckSpans, Place
from gateway.store.records import Attempt, Record
from gateway.telemetry import genai
from gateway.telemetry.spans import Attributes, Kind, Span
from gateway.wire import trace_ids

UNKNOWN: Final = "unknown"
"""The provider, where the snapshot is not at hand."""

ONNX: Final = "onnx"
"""The backend of a classic model that ran in the gateway."""

_ID: Final = re.compile(r"req_[0-9a-f]{30}").fullmatch


class Known(NamedTuple):
    """What a snapshot knows of backends that a record does not say."""

    providers: Mapping[str, str] = {}
    """What serves, in the conventions' words, by the backend's name."""
    served: Mapping[tuple[str, str], str] = {}
    """What a backend calls a model, by alias and backend."""


NOTHING: Final = Known()


def known(config: Config) -> Known:
    """What is told of the backends of a configuration."""
    providers = {}
    for name, backend in config.backends.items():
        its = backend.provider if isinstance(backend, Provider) else kind_of(backend)
        providers[name] = genai.PROVIDERS.get(its, its)
    models = ((alias, model) for alias, model in config.models.items() if isinstance(model, Model))
    return Known(providers, {(alias, model.backend): model.served_model or alias for alias, model in models})


def failed(record: Record) -> bool:
    """Whether the request ended in an error that is ours or a backend's."""
    return record.outcome in ("failed", "crashed") or record.status >= 500


def trace_of(record: Record) -> str:
    """The trace that a record belongs to: its caller's, else one of its own."""
    return record.traceparent[3:35] or trace_ids.trace_of(_digits(record.id))


def wanted(record: Record, limit: str, *, errors: bool) -> bool:
    """Whether the spans of a record are to be sent: as the caller's flag says, where there was one, else as
    `trace_ids.below` made `limit` of the share; and all `errors`. Never of a request that brought spans: where they are
    sent to a gateway, itself maybe, sending would never end.
    """
    if record.endpoint == "traces":
        return False
    if errors and failed(record):
        return True
    if record.traceparent:
        return bool(int(record.traceparent[53:55], 16) & 1)
    return trace_ids.sampled(trace_of(record), limit)


def spans(record: Record, backends: Known = NOTHING) -> list[Span]:
    """The request's span, then those below it in the order in which they began."""
    made = _Made(record, backends)
    return [made.server(), *made.below()]


class _Made:
    """The spans of one record, being made."""

    def __init__(self, record: Record, backends: Known) -> None:
        self._record = record
        self._backends = backends
        self._id = _digits(record.id)
        self._trace = trace_of(record)
        self._root = trace_ids.server_span(self._id)
        self._end_ms = max(0.0, record.total_ms)
        self._checks = CheckSpans(record, Place(self._trace, self._root, self._at, self._end_ms))

    def server(self) -> Span:
        record = self._record
        route = genai.ROUTES.get(record.endpoint)
        name = f"POST {route}" if route else record.endpoint or "unknown path"
        parent = record.traceparent[36:52]
        end = self._at(self._end_ms)
        told = self._of_request(route)
        start = self._at(0.0)
        return Span(
            *(name, Kind.SERVER, self._trace, self._root, parent, start, end, told),
            error=failed(record),
            events=self._checks.events(),
        )

    def below(self) -> list[Span]:
        return sorted([*self._checks.spans(), *self._tried()], key=lambda span: span.start_ns)

    def _tried(self) -> Iterator[Span]:
        record = self._record
        if not record.attempts and record.backend == ONNX:
            yield from self._ran()
        before_ms = 0.0
        for number, attempt in enumerate(record.attempts, 1):
            end_ms = min(attempt.ended_ms or self._end_ms, self._end_ms)
            start_ms = min(attempt.sent_ms or before_ms, end_ms)
            yield self._attempt(number, attempt, start_ms, end_ms)
            before_ms = end_ms

    def _ran(self) -> Iterator[Span]:
        """A classic model that ran in the gateway; all of the request where it is not recorded when it did."""
        record = self._record
        timed = [each for each in timings.read(record.timings) if each.stage == timings.RUN]
        began_ms, end_ms = 0.0, self._end_ms
        if not timed and record.outcome == "refused":
            return
        if timed:
            end_ms = min((timed[0].began_us + timed[0].took_us) / 1e3, end_ms)
            began_ms = min(timed[0].began_us / 1e3, end_ms)
        told: Attributes = {genai.MODEL: record.alias, genai.MODEL_VERSION: record.version, genai.BACKEND: ONNX}
        if record.rows is not None:
            told[genai.ROWS] = record.rows
        if record.outcome != "answered":  # one that was answered may have been blocked by a check
            told[genai.ERROR_TYPE] = record.code
        yield Span(
            f"infer {record.served_model or record.alias}",
            Kind.INTERNAL,
            self._trace,
            trace_ids.attempt_span(self._id, 1),
            self._root,
            self._at(began_ms),
            self._at(end_ms),
            told,
            error=failed(record),
        )

    def _attempt(self, number: int, attempt: Attempt, start_ms: float, end_ms: float) -> Span:
        record = self._record
        model = self._model(number, attempt)
        operation = genai.OPERATIONS.get(record.endpoint)
        told: Attributes = {
            genai.BACKEND: attempt.backend,
            genai.ATTEMPT_NUMBER: number,
            genai.ATTEMPT_REASON: attempt.reason,
            genai.ENDPOINT_CHOICE: attempt.choice,
        }
        told |= _address(attempt.endpoint)
        if attempt.status:
            told[genai.HTTP_STATUS] = attempt.status
        if attempt.code not in ("", "ok"):
            told[genai.ERROR_TYPE] = attempt.code
        if operation is not None:
            told[genai.OPERATION_NAME] = operation
            told[genai.PROVIDER_NAME] = self._backends.providers.get(attempt.backend, UNKNOWN)
            told[genai.REQUEST_MODEL] = model
            if record.conversation:
                told[genai.CONVERSATION_ID] = record.conversation
            if record.stream:
                told[genai.REQUEST_STREAM] = True
                if attempt.first_byte_ms > start_ms:
                    told[genai.TIME_TO_FIRST_CHUNK] = (attempt.first_byte_ms - start_ms) / 1e3
            if number == len(record.attempts):
                told |= self._answer()
        return Span(
            f"{operation or record.endpoint} {model}",
            Kind.CLIENT,
            self._trace,
            trace_ids.attempt_span(self._id, number),
            self._root,
            self._at(start_ms),
            self._at(end_ms),
            told,
            error=attempt.code not in ("", "ok", "cancelled"),
        )

    def _model(self, number: int, attempt: Attempt) -> str:
        """What the attempt's backend was asked for."""
        record = self._record
        if number == len(record.attempts) and record.served_model:
            return record.served_model
        served = (self._backends.served.get((alias, attempt.backend)) for alias in models_of(record))
        return next((name for name in served if name), record.alias)

    def _answer(self) -> Attributes:
        """What is known of the answer: the last attempt's, if of any."""
        record = self._record
        told: Attributes = {}
        if record.input_tokens is not None:
            cached, reasoning = record.cached_input_tokens or 0, record.reasoning_tokens or 0
            told[genai.INPUT_TOKENS] = record.input_tokens + cached
            told[genai.CACHE_READ_INPUT_TOKENS] = cached
            told[genai.OUTPUT_TOKENS] = (record.output_tokens or 0) + reasoning
            told[genai.REASONING_OUTPUT_TOKENS] = reasoning
        if "cut" in record.action.split(" "):
            told[genai.FINISH_REASONS] = ("length",)
        elif self._checks.blocked:
            told[genai.FINISH_REASONS] = ("content_filter",)
        return told

    def _of_request(self, route: str | None) -> Attributes:
        record = self._record
        told: Attributes = {
            genai.REQUEST_ID: record.id,
            genai.CODE: record.code,
            genai.OUTCOME: record.outcome,
            genai.REQUEST_BODY_SIZE: record.body_bytes,
            genai.RESPONSE_BODY_SIZE: record.answer_bytes,
        }
        if route:
            told |= {genai.HTTP_METHOD: "POST", genai.HTTP_ROUTE: route, genai.URL_PATH: route}
            told[genai.URL_SCHEME] = "http"  # where TLS ends is nothing a record says
        if record.status:
            told[genai.HTTP_STATUS] = record.status
        if failed(record):
            told[genai.ERROR_TYPE] = record.code
        for name, text in (
            (genai.TENANT, record.tenant),
            (genai.KEY, record.key),
            (genai.PROJECT, record.project),
            (genai.MODEL, record.alias if record.backend else ""),  # else it may be anything a caller sent
            (genai.CHAIN, record.chain),
            (genai.SNAPSHOT, record.snapshot),
            (genai.CONVERSATION_ID, record.conversation),
            (genai.ACTION, record.action),
        ):
            if text:
                told[name] = text
        if record.charge_nanos is not None:
            told[genai.CHARGE] = record.charge_nanos
        if record.waste_tokens:
            told |= {genai.WASTE_TOKENS: record.waste_tokens, genai.WASTE: record.waste_nanos}
        return told

    def _at(self, after_ms: float) -> int:
        return self._record.started_ns + int(after_ms * 1e6)


def _digits(request_id: str) -> str:
    """The id itself, or one in its form for an id that is not from `RequestIds`."""
    if _ID(request_id):
        return request_id
    return "req_" + blake2b(request_id.encode("utf-8", "replace"), digest_size=15).hexdigest()


@lru_cache(maxsize=1024)
def _address(endpoint: str) -> Mapping[str, str | int]:
    """Where an endpoint is: a host and a port, or a socket's path."""
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        return {}
    if parts.scheme == "unix":
        return {genai.SERVER_ADDRESS: parts.path}
    if not parts.hostname:
        return {}
    return {genai.SERVER_ADDRESS: parts.hostname, genai.SERVER_PORT: port or (443 if parts.scheme == "https" else 80)}
