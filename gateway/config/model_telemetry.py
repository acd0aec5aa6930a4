"""The section about what the gateway says of itself: its log, its warnings, its spans."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import field

from gateway.config.leaves import Header, HeaderName, LogLevel, OtlpUrl, Section, Share, Webhook, unit


class Otlp(Section, frozen=True, kw_only=True):
    """Where spans of the requests are sent: a collector, or whatever else takes OTLP (the extra `otel`). They say who
    asked which model, how long it took and what it cost; never what was asked or answered."""

    endpoint: OtlpUrl
    """`http://host:4318`, to which `/v1/traces` is added where it does not end so; for gRPC `http://host:4317`, or
    `https://…`. May hold `${NAME}`."""
    protocol: Annotated[Literal["http", "grpc"], unit("text", "http or grpc")] = "http"
    """`http` (protobuf) or `grpc`."""
    headers: dict[HeaderName, Header] = field(default_factory=dict)
    """Sent along, such as `authorization`. Write `${NAME}`: it is then read from the environment and never stored."""
    sample: Share = 1.0
    """The share of requests whose spans are sent, where the caller's `traceparent` does not say."""
    errors: Annotated[Literal["always", "sampled"], unit("text", "always or sampled")] = "always"
    """Whether requests that failed are sent `always`, or only where they are `sampled`."""

    def __repr__(self) -> str:
        return f"Otlp(endpoint='…', protocol={self.protocol!r}, sample={self.sample!r}, errors={self.errors!r})"


class Telemetry(Section, frozen=True, kw_only=True):
    """What the gateway says about itself."""

    access_log: bool = True
    """One log line for each request, without its content."""
    log_level: LogLevel = "info"
    """The least severe line that is written."""
    webhook: Webhook | None = None
    """Where a meter's `warn` is posted, as JSON, besides being logged and counted. May hold `${NAME}`."""
    otlp: Otlp | None = None
    """Where spans are sent; nowhere when left out. See otlp."""

    def __repr__(self) -> str:
        webhook = "…" if self.webhook else None
        return (
            f"Telemetry(access_log={self.access_log!r}, log_level={self.log_level!r}, webhook={webhook!r}, "
            f"otlp={self.otlp!r})"
        )
