"""A transcription with other words."""

from __future__ import annotations

import json

import pytest

from gateway.errors import UpstreamProtocol
from gateway.wire.edits import OUTPUT, Outcome
from gateway.wire.transcription_texts import TranscriptionTexts


def test_the_text_is_replaced_and_what_says_it_again_is_left_out() -> None:
    body = {
        "text": "secret",
        "language": "en",
        "usage": {"type": "duration", "seconds": 5},
        "segments": [{"text": "secret"}],
        "words": [{"word": "secret"}],
        "logprobs": [{"token": "secret"}],
    }
    answer = TranscriptionTexts(json.dumps(body).encode())
    assert [(part.place, part.phase, part.text) for part in answer.parts] == [("text", OUTPUT, "secret")]
    said = json.loads(answer.said([Outcome("s", blocked=True)]))
    assert said == {"text": "s", "language": "en", "usage": {"type": "duration", "seconds": 5}}


def test_subtitles_are_a_text() -> None:
    answer = TranscriptionTexts("1\n00:00 --> 00:01\nÄh\n".encode())
    assert answer.parts[0].text == "1\n00:00 --> 00:01\nÄh\n"
    assert answer.said([Outcome("Ö")]) == "Ö".encode()


@pytest.mark.parametrize("body", [b"{}", b'{"text":5}', b"{", b"\xff"])
def test_what_is_no_transcription_is_the_backends_fault(body: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        TranscriptionTexts(body)
