"""POST /v1/rerank and /v1/score, in vLLM's formats: how well texts fit a query, or each other."""

from __future__ import annotations

from typing import Final

from gateway.wire import body as wire_body
from gateway.wire import embeddings, relay, usage
from gateway.wire.call import JSON, Call, Codec, Form, outgoing, read


def parse_rerank(body: bytes, content_type: bytes = JSON) -> Call:
    """Raises InvalidRequest."""
    fields = wire_body.fields(body)
    call = read("rerank", body, fields, streams=False)
    wire_body.present(fields, "query")
    wire_body.present(fields, "documents")
    return call


def parse_score(body: bytes, content_type: bytes = JSON) -> Call:
    """Raises InvalidRequest. The two sides go by several pairs of names, which are the backend's to know."""
    return read("score", body, wire_body.fields(body), streams=False)


RERANK: Final = Codec(
    "rerank", parse_rerank, embeddings.opening, Form(b"/v1/rerank", outgoing, usage.from_answer, relay.of)
)
SCORE: Final = Codec(
    "score", parse_score, embeddings.opening, Form(b"/v1/score", outgoing, usage.from_answer, relay.of)
)
