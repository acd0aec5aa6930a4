from __future__ import annotations

import sys

import pytest

from gateway.config.model_telemetry import Otlp
from gateway.runtime.otlp import Sender, http_url, missing
from gateway.telemetry.spans import Kind, Span
from tests.support.otlp import require

SPAN = Span("s", Kind.SERVER, "ab" * 16, "cd" * 8, "", 1, 2, {})


def test_spans_are_posted_to_the_path_of_the_protocol() -> None:
    for endpoint in ("http://a:4318", "http://a:4318/", "http://a:4318/v1/traces", "http://a:4318/v1/traces/"):
        assert http_url(endpoint) == "http://a:4318/v1/traces"
    assert http_url("https://a/api/public/otel") == "https://a/api/public/otel/v1/traces"


def test_what_is_missing_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    told = missing()
    assert told is not None
    assert "opentelemetry-sdk" in told
    assert told.endswith("not installed here: pip install 'lockgate[otel]'")
    with pytest.raises(ImportError, match="opentelemetry-sdk"):
        Sender(Otlp(endpoint="http://127.0.0.1:1"), "s")


def test_why_nobody_took_them_is_said_without_the_path_of_the_address() -> None:
    require()
    assert missing() is None
    sender = Sender(Otlp(endpoint="http://127.0.0.1:1/s3cret"), "s")
    sender.close()
    assert not sender.send([SPAN])
    assert sender.why_not
    assert "s3cret" not in sender.why_not
