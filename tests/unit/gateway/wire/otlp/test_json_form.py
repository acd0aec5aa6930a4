"""What both forms have in common is shown by `test_request`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.wire.otlp import json_form
from tests.support.agent_spans import a_span, as_json


def everything(_: str) -> bool:
    return True


def test_ids_in_capitals_are_the_same_ids() -> None:
    (span,) = json_form.spans(as_json([a_span("B7AD6B7169203331")]), everything)
    assert span.span_id == "b7ad6b7169203331"


@pytest.mark.parametrize("moment", [5, "5", 2**64 - 1])
def test_times_are_numbers_or_texts(moment: Any) -> None:
    (span,) = json_form.spans(as_json([a_span("b7ad6b7169203331") | {"endTimeUnixNano": moment}]), everything)
    assert span.end_ns == int(moment)


@pytest.mark.parametrize("moment", ["", "-1", "1e3", "٣", "9" * 21, -1, 2**64])
def test_a_span_whose_times_cannot_be_read_is_rejected(moment: Any) -> None:
    given = as_json([a_span("b7ad6b7169203331") | {"startTimeUnixNano": moment}])
    assert json_form.counts(given) == (0, 1)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"intValue": "12"}, 12),
        ({"intValue": 12}, 12),
        ({"intValue": "twelve"}, None),
        ({"intValue": "9" * 1_000}, None),
        ({"intValue": 2**63}, None),
        ({"intValue": "-3"}, -3),
        ({"doubleValue": 0.5}, 0.5),
        ({"doubleValue": "NaN"}, None),
        ({"boolValue": False}, False),
        ({"bytesValue": "eA=="}, None),
        ({}, None),
        (None, None),
    ],
)
def test_values_are_read_as_the_protocol_writes_them(value: Any, found: object) -> None:
    span = a_span("b7ad6b7169203331") | {"attributes": [{"key": "x", "value": value}]}
    (read,) = json_form.spans(as_json([span]), everything)
    assert (read.attributes.get("x"), read.left_out) == (found, found is None)


def test_unknown_fields_are_passed_over() -> None:
    document = json.loads(as_json([a_span("b7ad6b7169203331") | {"flags": 256, "links": [{}], "later": {"a": 1}}]))
    assert json_form.counts(json.dumps(document | {"more": []}).encode()) == (1, 0)


def test_a_message_names_the_place_and_nothing_of_what_was_sent() -> None:
    with pytest.raises(InvalidRequest) as raised:
        json_form.counts(as_json([a_span("b7ad6b7169203331") | {"name": ["secret"]}]))
    assert "$.resourceSpans[0].scopeSpans[0].spans[0].name" in raised.value.message
    assert "secret" not in raised.value.message
    with pytest.raises(InvalidRequest, match="UTF-8"):
        json_form.counts(as_json([]).replace(b"tests", b"\xff"))
