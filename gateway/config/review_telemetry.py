"""What must hold of where spans are sent: problems that stop a start, and doubts for `lockgate check`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from gateway.config import units
from gateway.config.model import Config
from gateway.config.places import Finding
from gateway.config.shape import Path

_OTLP: Path = ("telemetry", "otlp")


def problems(config: Config) -> Iterator[Finding]:
    """Everything of it for which a configuration must not run."""
    otlp = config.telemetry.otlp
    if otlp is None or otlp.protocol == "http":
        return
    parts = urlsplit(otlp.endpoint)
    if parts.scheme and parts.path not in ("", "/"):
        yield Finding((*_OTLP, "endpoint"), "gRPC has no path: expected http://host:4317, or protocol: http")


def doubts(config: Config) -> Iterator[Finding]:
    """Everything of it that runs, but probably not as meant."""
    otlp = config.telemetry.otlp
    if otlp is None:
        return
    if units.leaves_in_clear(otlp.endpoint):
        told = "who asked which model, and the headers, leave this machine unencrypted: use https://"
        yield Finding((*_OTLP, "endpoint"), told)
    for name, value in otlp.headers.items():
        if not units.env_names(value):
            told = "a secret in a file is archived with every snapshot: write ${NAME} and set it"
            yield Finding((*_OTLP, "headers", name), told)
    if otlp.sample == 0 and otlp.errors == "sampled":
        yield Finding((*_OTLP, "sample"), "nothing is sent but what a caller's traceparent asks for")


def missing(config: Config, lacking: Callable[[], str | None]) -> Iterator[Finding]:
    """Doubts about packages; `lacking` says which are not here, None for none."""
    if config.telemetry.otlp is not None and (told := lacking()) is not None:
        yield Finding(_OTLP, told)
