"""A receiver of OTLP for tests, over HTTP and over gRPC: small, real (OpenTelemetry's own messages), and it can be told
to take nothing."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import importlib.util
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

PACKAGE = "the packages of the extra otel are missing"


class Received(NamedTuple):
    """A span as it came."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    status: str
    events: tuple[tuple[str, int, Mapping[str, Any]], ...]
    resource: Mapping[str, Any]


class Receiver:
    """What came. `takes` may be changed while it runs."""

    def __init__(self) -> None:
        self.url = ""
        self.takes = True
        self.refused = 0
        self.headers: list[Mapping[str, str]] = []
        self._lock = threading.Lock()
        self._spans: list[Received] = []

    @property
    def spans(self) -> list[Received]:
        """So far; a span that was sent again is there twice."""
        with self._lock:
            return list(self._spans)

    def took(self, request: Any, headers: Mapping[str, str]) -> bool:
        """Keeps the spans of an `ExportTraceServiceRequest`, or refuses them."""
        with self._lock:
            self.headers.append(dict(headers))
            if not self.takes:
                self.refused += 1
                return False
            for resource in request.resource_spans:
                about = _values(resource.resource.attributes)
                for scope in resource.scope_spans:
                    self._spans += [_received(span, about) for span in scope.spans]
        return True


def has_packages() -> bool:
    """Whether there is what a receiver needs."""
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.grpc.trace_exporter") is not None
    except ModuleNotFoundError:
        return False


def require() -> None:
    """Skips where the packages are missing."""
    if not has_packages():
        pytest.skip(PACKAGE)


@contextlib.contextmanager
def receiving(protocol: str) -> Iterator[Receiver]:
    """A receiver on a port of its own; `url` is what `telemetry.otlp.endpoint` takes."""
    require()
    receiver = Receiver()
    with _over_http(receiver) if protocol == "http" else _over_grpc(receiver):
        yield receiver


@contextlib.contextmanager
def _over_http(receiver: Receiver) -> Iterator[None]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
        ExportTraceServiceResponse,
    )

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            known = self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
            headers = {name.lower(): value for name, value in self.headers.items()}
            taken = known and receiver.took(ExportTraceServiceRequest.FromString(body), headers)
            self.send_response(200 if taken else 503 if known else 404)
            answer = ExportTraceServiceResponse().SerializeToString() if taken else b""
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def _over_grpc(receiver: Receiver) -> Iterator[None]:
    import grpc
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    add: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server  # untyped where it is installed

    class Service:
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
            if not receiver.took(request, dict(context.invocation_metadata())):
                context.abort(grpc.StatusCode.UNAVAILABLE, "told to take nothing")
            return ExportTraceServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    add(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    receiver.url = f"http://127.0.0.1:{port}"
    try:
        yield
    finally:
        server.stop(None).wait()


def _received(span: Any, resource: Mapping[str, Any]) -> Received:
    kinds, statuses = type(span).SpanKind, type(span.status).StatusCode
    return Received(
        name=span.name,
        kind=kinds.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_values(span.attributes),
        status=statuses.Name(span.status.code).removeprefix("STATUS_CODE_").lower(),
        events=tuple((event.name, event.time_unix_nano, _values(event.attributes)) for event in span.events),
        resource=resource,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_value(each) for each in value.array_value.values)
    return getattr(value, kind)
