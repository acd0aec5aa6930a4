"""A request of the Open Inference Protocol v2 for a backend that speaks it too.

The request is written again from what was read of it (tensors are copied as they are), so that a server cannot read
more in it than was checked here; the answer passes as it comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from gateway.wire import relay
from gateway.wire.call import Call, Codec, Form
from gateway.wire.infer import answer as infer_answer
from gateway.wire.infer import paths as infer_paths
from gateway.wire.infer import request as infer
from gateway.wire.infer.paths import Target
from gateway.wire.infer.request import InferCall
from gateway.wire.usage import Usage

ENDPOINT: Final = "infer"
"""What a backend's dialect says it speaks."""

NOT_THERE: Final = "what serves this model has no such model or version, or does not speak the Open Inference Protocol"


def call(target: Target, asked: InferCall) -> Call:
    """A call whose body is the request, and whose header says where its JSON ends."""
    body, length = infer.outgoing(asked)
    if length is None:
        return _call(target, body, infer.JSON_TYPE, b"")
    return _call(target, body, infer.BINARY_TYPE, b"%b: %d\r\n" % (infer.HEADER_LENGTH, length))


def question(target: Target) -> Call:
    """A call without a body: for what a server tells of its models."""
    return _call(target, b"", infer.JSON_TYPE, b"")


def codec(target: Target) -> Codec:
    """How a backend is asked for `target`."""
    form = Form(
        infer_paths.PREFIX,
        _as_written,
        _counted_nowhere,
        relay.of,
        path_for=partial(infer_paths.path, version=target.version, action=target.action),
        method=b"POST" if target.action == "infer" else b"GET",
        missing=NOT_THERE,
    )
    return Codec(ENDPOINT, partial(_parse, target), _no_opening, form, errors=infer_answer.ERRORS)


def json_length(sent: bytes | None) -> int | None:
    """A backend's `Inference-Header-Content-Length`; None where it sent none, or no number."""
    return int(sent) if sent is not None and sent.isdigit() and len(sent) <= 15 else None


def _parse(target: Target, body: bytes, content_type: bytes) -> Call:
    """A request that is all JSON."""
    return call(target, infer.parse(body, None))


def _as_written(asked: Call, served_model: str, served_model_json: bytes, extra: Mapping[str, bytes]) -> bytes:
    """The model is named in the path, so nothing in the body changes."""
    return asked.body


def _counted_nowhere(answer: bytes) -> Usage | None:
    """No tokens are used."""
    return None


def _no_opening(asked: Call) -> bytes:
    """No replica keeps anything of a request."""
    return b""


def _call(target: Target, body: bytes, content_type: bytes, header_lines: bytes) -> Call:
    return Call(ENDPOINT, target.alias, False, False, {}, body, None, None, 1, content_type, header_lines)
