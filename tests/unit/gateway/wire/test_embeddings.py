"""What embeddings require."""

from __future__ import annotations

import json

import pytest

from gateway.errors import InvalidRequest
from gateway.wire import embeddings


@pytest.mark.parametrize("texts", ["one", ["one", "two"], [1, 2], [[1], [2, 3]], ""])
@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_texts_lists_and_token_ids_pass_as_sent(texts: object, encoding: str) -> None:
    body = json.dumps({"model": "e", "input": texts, "encoding_format": encoding}).encode()
    call = embeddings.parse(body)
    assert (call.endpoint, call.alias, call.body) == ("embeddings", "e", body)
    assert embeddings.opening(call) == b""


def test_an_input_is_required() -> None:
    for body in (b'{"model":"e"}', b'{"model":"e","input":null}'):
        with pytest.raises(InvalidRequest, match="input is required"):
            embeddings.parse(body)


def test_an_embedding_is_never_a_stream() -> None:
    assert embeddings.parse(b'{"model":"e","input":"x","stream":true}').stream is False
