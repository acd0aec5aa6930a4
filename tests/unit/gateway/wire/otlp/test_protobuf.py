"""What both forms have in common is shown by `test_request`."""

from __future__ import annotations

import sys

import pytest

from gateway.errors import UnknownPath
from gateway.wire.otlp import protobuf, sent
from tests.support import otlp
from tests.support.agent_spans import a_span, as_protobuf


def test_more_attributes_than_are_kept_are_counted() -> None:
    otlp.require()
    many = {f"number.{number}": number for number in range(sent.MAX_ATTRIBUTES + 30)}
    (span,) = protobuf.spans(as_protobuf([a_span("b7ad6b7169203331", attributes=many)]), lambda _: False)
    assert (len(span.attributes), span.left_out) == (sent.MAX_ATTRIBUTES, 30)


def test_without_the_package_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.trace.v1", None)
    with pytest.raises(UnknownPath, match=r"lockgate\[otel\]"):
        protobuf.counts(b"")
