"""Every endpoint whose requests hold texts has a reader of them."""

from __future__ import annotations

from gateway.wire import chat, completions, edited, embeddings, scoring, transcriptions
from gateway.wire.messages import codec as messages
from gateway.wire.responses import codec as responses


def test_every_codec_with_texts_is_named() -> None:
    codecs = (chat.CODEC, completions.CODEC, embeddings.CODEC, scoring.RERANK, scoring.SCORE, responses.CODEC)
    assert {
        codec.endpoint for codec in (*codecs, messages.CODEC, messages.COUNT, transcriptions.CODEC)
    } <= edited.REQUESTS.keys()


def test_an_endpoint_whose_answers_are_edited_has_its_requests_read_too() -> None:
    assert edited.STREAMS.keys() <= edited.ANSWERS.keys() <= edited.REQUESTS.keys()
    assert {chat.CODEC.endpoint, completions.CODEC.endpoint, messages.CODEC.endpoint} <= edited.STREAMS.keys()
    assert {responses.CODEC.endpoint, transcriptions.CODEC.endpoint} <= edited.ANSWERS.keys()
