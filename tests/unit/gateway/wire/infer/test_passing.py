from __future__ import annotations

import json

import pytest

from gateway.wire.infer import passing as infer_passing
from gateway.wire.infer import request as infer
from gateway.wire.infer.paths import Target

TARGET = Target("fraud", "3", "infer")
JSON = b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1.50]}]}'


def test_a_request_is_a_call_whose_body_needs_no_change_for_any_served_model() -> None:
    call = infer_passing.call(TARGET, infer.parse(JSON, None))
    assert (call.endpoint, call.alias, call.content_type, call.header_lines) == (
        *("infer", "fraud"),
        *(b"application/json", b""),
    )
    form = infer_passing.codec(TARGET).native
    assert form.outgoing(call, "served", b'"served"', {}) == call.body
    assert json.loads(call.body) == json.loads(JSON)
    assert form.usage(b"{}") is None


def test_binary_tensors_go_with_the_length_of_the_json_before_them() -> None:
    header = b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}}]}'
    call = infer_passing.call(TARGET, infer.parse(header + b"abcd", b"%d" % len(header)))
    assert call.content_type == b"application/octet-stream"
    assert call.header_lines == b"inference-header-content-length: %d\r\n" % (len(call.body) - 4)
    assert call.body.endswith(b"abcd")


@pytest.mark.parametrize(
    ("target", "method", "path"),
    [
        (TARGET, b"POST", b"/v2/models/a%2Fb/versions/3/infer"),
        (Target("fraud", "", "infer"), b"POST", b"/v2/models/a%2Fb/infer"),
        (Target("fraud", "", "ready"), b"GET", b"/v2/models/a%2Fb/ready"),
        (Target("fraud", "3", "metadata"), b"GET", b"/v2/models/a%2Fb/versions/3"),
    ],
)
def test_the_path_holds_the_served_model(target: Target, method: bytes, path: bytes) -> None:
    codec = infer_passing.codec(target)
    assert codec.native.path_for is not None
    assert (codec.native.method, codec.native.path_for("a/b")) == (method, path)
    assert codec.translated is None
    assert codec.opening(infer_passing.question(target)) == b""


def test_a_codec_reads_a_body_that_is_all_json() -> None:
    call = infer_passing.codec(TARGET).parse(JSON, b"application/json")
    same = infer_passing.call(TARGET, infer.parse(JSON, None))
    assert (call.endpoint, call.alias, call.body) == (same.endpoint, same.alias, same.body)
    assert (call.content_type, call.header_lines) == (same.content_type, same.header_lines)


@pytest.mark.parametrize(("sent", "length"), [(None, None), (b"12", 12), (b"", None), (b"x", None), (b"9" * 20, None)])
def test_a_servers_header_length_counts_only_as_a_number(sent: bytes | None, length: int | None) -> None:
    assert infer_passing.json_length(sent) == length
