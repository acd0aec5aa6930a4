"""The texts of a form, and the form with others."""

from __future__ import annotations

import pytest

from gateway.errors import InvalidRequest
from gateway.wire import multipart, transcriptions
from gateway.wire.form_texts import FormTexts

TYPE = b"multipart/form-data; boundary=edge"
SOUND = bytes(range(256)) * 4


def field(name: bytes, value: bytes, more: bytes = b"") -> bytes:
    return b'--edge\r\ncontent-disposition: form-data; name="' + name + b'"' + more + b"\r\n\r\n" + value + b"\r\n"


FILE = field(b"file", SOUND, b'; filename="a.wav"')
MODEL = field(b"model", b"whisper")
END = b"--edge--\r\n"


def read(*parts: bytes) -> FormTexts:
    return FormTexts(transcriptions.parse(b"".join((MODEL, *parts, END)), TYPE))


def test_the_prompt_and_what_nobody_knows_are_texts_and_settings_are_not() -> None:
    form = read(field(b"language", b"fr"), field(b"prompt", "Zürich".encode()), FILE, field(b"hotwords", b"Joe"))
    assert [(part.place, part.text) for part in form.parts] == [("prompt", "Zürich"), ("hotwords", "Joe")]
    assert (form.unread, form.leaks, list(form.offered), list(form.results)) == ("", "", [], [])


def test_other_texts_stand_in_the_form_and_all_else_is_as_it_was() -> None:
    prompt = field(b"prompt", b"call joe", b"\r\nContent-Type: text/plain; charset=utf-7\r\nContent-Length: 8")
    form = read(prompt, FILE, field(b"prompt", b"again"), field(b"empty", b""))
    _, body = form.said(["call [NAME]", "\r\n--edg"])
    assert body == b"".join(
        (
            *(MODEL, field(b"prompt", b"call [NAME]"), FILE, field(b"prompt", b"\r\n--edg"), field(b"empty", b"")),
            END,
        )
    )
    assert [part.name for part in multipart.parts(body, b"edge")] == ["model", "prompt", "file", "prompt", "empty"]


def test_a_text_that_would_end_its_part_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="another boundary"):
        read(field(b"prompt", b"a"), FILE).said(["a\r\n--edge--\r\n"])


def test_a_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="prompt must be UTF-8"):
        read(field(b"prompt", b"\xff"), FILE)


def test_a_form_that_asks_for_the_answers_tokens_says_so() -> None:
    assert read(FILE, field(b"include[]", b"logprobs")).leaks == "include[]"
    assert read(FILE, field(b"include[]", b"other")).leaks == ""
