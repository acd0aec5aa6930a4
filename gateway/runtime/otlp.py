"""Our spans handed to OpenTelemetry's exporters (the extra `otel`), which speak OTLP over HTTP and gRPC.

The SDK's tracers are not used: a span of ours is made of a record, when all of it is known. What is used is its model
of a span and of a resource, and its exporters. Nothing else is connected to.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from gateway.config.model_telemetry import Otlp
from gateway.telemetry import genai, release
from gateway.telemetry.spans import Kind, Span

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

TIMEOUT_S: Final = 10.0
"""For one batch, the exporter's own tries included."""
TRACES: Final = "/v1/traces"

_MODULES: Final = {
    "opentelemetry.sdk": "opentelemetry-sdk",
    "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry.exporter.otlp.proto.grpc": "opentelemetry-exporter-otlp-proto-grpc",
}


def missing() -> str | None:
    """What keeps spans from being sent from here, with the command that installs it; None when nothing does."""
    lacking = [package for module, package in _MODULES.items() if not _found(module)]
    if not lacking:
        return None
    return f"sending spans needs {' and '.join(lacking)}, not installed here: pip install 'lockgate[otel]'"


def _found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it
        return False


class _Said(logging.Handler):
    """Keeps the last thing the exporters said. They say it at each try, which is too much for a log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()


class Sends(Protocol):
    """What takes batches of spans somewhere."""

    def send(self, spans: Sequence[Span]) -> bool:
        """Whether they were taken. May wait; called from one thread at a time."""
        ...

    @property
    def why_not(self) -> str:
        """Why they were not, as far as is known."""
        ...

    def close(self) -> None:
        """Ends what runs; from any thread."""
        ...


class Sender:
    """Sends batches to one place: a `Sends`."""

    def __init__(self, otlp: Otlp, instance: str) -> None:
        """`otlp` with its references resolved; `instance` tells this gateway from others. Raises ImportError with what
        is missing."""
        if (lacking := missing()) is not None:
            raise ImportError(lacking)
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        self._path = urlsplit(otlp.endpoint).path.rstrip("/")
        self._exporter = _exporter(otlp)
        self._said = _Said()
        library = logging.getLogger("opentelemetry")
        library.propagate = False
        library.handlers = [self._said]
        about = {
            genai.SERVICE_NAME: "lockgate",
            genai.SERVICE_VERSION: release.version(),
            genai.SERVICE_INSTANCE: instance,
        }
        self._resource = Resource.create(about)  # adds OTEL_RESOURCE_ATTRIBUTES, as every user of the SDK expects
        self._scope = InstrumentationScope("lockgate", release.version(), genai.SCHEMA_URL)

    def send(self, spans: Sequence[Span]) -> bool:
        """Whether they were taken; `why_not` says more. Waits `TIMEOUT_S` at most."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        return self._exporter.export([self._readable(span) for span in spans]) is SpanExportResult.SUCCESS

    @property
    def why_not(self) -> str:
        """What the exporter said last, without a path that may be a secret."""
        return self._said.last.replace(self._path, "/…") if self._path else self._said.last

    def close(self) -> None:
        """Ends what runs, and the connection."""
        self._exporter.shutdown()

    def _readable(self, span: Span) -> ReadableSpan:
        from opentelemetry.sdk.trace import Event, ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
        from opentelemetry.trace.status import Status, StatusCode

        trace, flags = int(span.trace_id, 16), TraceFlags(TraceFlags.SAMPLED)
        above = int(span.parent_id, 16) if span.parent_id else 0
        kinds = {Kind.INTERNAL: SpanKind.INTERNAL, Kind.SERVER: SpanKind.SERVER, Kind.CLIENT: SpanKind.CLIENT}
        return ReadableSpan(
            name=span.name,
            context=SpanContext(trace, int(span.span_id, 16), is_remote=False, trace_flags=flags),
            parent=SpanContext(trace, above, is_remote=span.kind is Kind.SERVER, trace_flags=flags) if above else None,
            resource=self._resource,
            attributes=span.attributes,
            events=[Event(event.name, event.attributes, event.at_ns) for event in span.events],
            kind=kinds[span.kind],
            status=Status(StatusCode.ERROR if span.error else StatusCode.UNSET),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=self._scope,
        )


def http_url(endpoint: str) -> str:
    """Where spans are posted."""
    base = endpoint.rstrip("/")
    return base if base.endswith(TRACES) else base + TRACES


def _exporter(otlp: Otlp) -> SpanExporter:
    headers: Mapping[str, str] = {name.lower(): value for name, value in otlp.headers.items()}
    if otlp.protocol == "http":
        from opentelemetry.exporter.otlp.proto.http import Compression
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(
            endpoint=http_url(otlp.endpoint), headers=headers, timeout=TIMEOUT_S, compression=Compression.Gzip
        )
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter

    return GrpcSpanExporter(
        endpoint=otlp.endpoint,
        insecure=urlsplit(otlp.endpoint).scheme == "http",
        headers=tuple(headers.items()),
        timeout=TIMEOUT_S,
        compression=grpc.Compression.Gzip,
    )
