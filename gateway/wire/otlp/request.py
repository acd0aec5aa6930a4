"""What came to `POST /v1/traces`: its form, how much it holds, and its spans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

from gateway.errors import BodyTooLarge, InvalidRequest
from gateway.wire.body import shown
from gateway.wire.inflate import inflate
from gateway.wire.otlp import json_form, protobuf, sent
from gateway.wire.otlp.sent import Counts, SentSpan, Texts

Form: TypeAlias = Literal["protobuf", "json"]
TYPES: Final[dict[Form, bytes]] = {"protobuf": b"application/x-protobuf", "json": b"application/json"}


def form_of(content_type: bytes) -> Form:
    """The form that a header names. Raises InvalidRequest for one that is not taken."""
    name = content_type.partition(b";")[0].strip().lower()
    for form, its in TYPES.items():
        if name == its:
            return form
    raise InvalidRequest(
        f"content-type {shown(name.decode('latin-1'))} is not taken here; "
        "application/x-protobuf and application/json are",
        param="content-type",
    )


def unfolded(body: bytes, encoding: bytes | None) -> bytes:
    """The body that may be compressed. Raises BodyTooLarge, InvalidRequest."""
    if len(body) > sent.MAX_BYTES:
        raise BodyTooLarge(f"the body is larger than the limit of {sent.MAX_BYTES} bytes for spans: send fewer at once")
    return body if encoding is None else inflate(body, encoding, sent.MAX_BYTES)


def counts(body: bytes, form: Form) -> Counts:
    """What it holds. Raises InvalidRequest, BodyTooLarge; UnknownPath for what cannot be read here."""
    return protobuf.counts(body) if form == "protobuf" else json_form.counts(body)


def spans(body: bytes, form: Form, texts: Texts) -> Iterator[SentSpan]:
    """The spans it holds, with the texts that are asked for. Raises as `counts` does."""
    return protobuf.spans(body, texts) if form == "protobuf" else json_form.spans(body, texts)
