"""Forms with a sound file: what is read of them, and what a backend gets."""

from __future__ import annotations

import pytest

from gateway.errors import InvalidRequest
from gateway.wire import transcriptions
from gateway.wire.call import Call
from gateway.wire.denied import refuse

TYPE = b"multipart/form-data; boundary=edge"
SOUND = bytes(range(256)) * 4


def field(name: bytes, value: bytes, more: bytes = b"") -> bytes:
    return b'--edge\r\nContent-Disposition: form-data; name="' + name + b'"' + more + b"\r\n\r\n" + value + b"\r\n"


FILE = field(b"file", SOUND, b'; filename="a.wav"\r\nContent-Type: audio/wav')
MODEL = field(b"model", b"whisper")
END = b"--edge--\r\n"


def parse(*parts: bytes) -> Call:
    return transcriptions.parse(b"".join(parts) + END, TYPE)


def test_the_model_and_whether_to_stream_are_read_and_nothing_else() -> None:
    call = parse(MODEL, FILE, field(b"language", b"fr"), field(b"t[]", b"word"), field(b"t[]", b"segment"))
    assert (call.endpoint, call.alias, call.stream, call.content_type) == ("transcriptions", "whisper", False, TYPE)
    assert sorted(call.fields) == ["file", "language", "model", "t[]"]
    assert bytes(call.fields["language"]) == b"null"


@pytest.mark.parametrize(
    ("word", "stream"), [(b"true", True), (b"True", True), (b"1", True), (b"false", False), (b"", False)]
)
def test_a_stream_is_asked_for_as_forms_do(word: bytes, stream: bool) -> None:
    assert parse(MODEL, field(b"stream", word), FILE).stream is stream


def test_a_form_passes_byte_for_byte_where_the_models_name_is_the_backends() -> None:
    call = parse(MODEL, FILE)
    assert transcriptions.outgoing(call, "whisper", b'"whisper"', {"cache_salt": b'"s"'}) is call.body


@pytest.mark.parametrize("before", [True, False], ids=["the model first", "the file first"])
def test_only_the_part_model_is_replaced(before: bool) -> None:
    long = field(b"model", b"whisper", b"\r\nContent-Type: text/plain\r\nContent-Length: 7")
    parts = [long, FILE] if before else [FILE, long]
    sent = transcriptions.outgoing(parse(*parts, field(b"language", b"fr")), "Ω/large", b"", {})
    assert sent.replace(b"content-disposition", b"Content-Disposition") == b"".join(
        field(b"model", "Ω/large".encode()) if part is long else part
        for part in [*parts, field(b"language", b"fr"), END]
    )


def test_a_boundary_that_stands_in_the_backends_name_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="another boundary"):
        transcriptions.outgoing(parse(MODEL, FILE), "a--edge", b"", {})


@pytest.mark.parametrize(
    ("parts", "param", "words"),
    [
        ([FILE], "model", "no part named model"),
        ([MODEL], "file", "no part named file"),
        ([MODEL, FILE, MODEL], "model", "two parts named model"),
        ([MODEL, field(b"stream", b"true"), field(b"stream", b"false"), FILE], "stream", "two parts named stream"),
        ([field(b"model", b""), FILE], "model", "non-empty string"),
        ([field(b"model", b"x" * 257), FILE], "model", "at most 256 characters"),
        ([field(b"model", b"x" * 2000), FILE], "model", "at most 1024 bytes"),
        ([field(b"model", b"\xff"), FILE], "model", "must be UTF-8"),
        ([field(b"model", b"m", b'; filename="m"'), FILE], "model", "a text, not a file"),
        ([MODEL, field(b"stream", b"maybe"), FILE], "stream", "true or false"),
    ],
)
def test_a_form_that_cannot_be_served_is_refused_by_the_name_of_the_part(
    parts: list[bytes], param: str, words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words) as refused:
        parse(*parts)
    assert refused.value.param == param


def test_a_cut_form_is_refused() -> None:
    whole = MODEL + FILE + END
    for end in range(len(whole) - 2):
        with pytest.raises(InvalidRequest):
            transcriptions.parse(whole[:end], TYPE)


def test_parts_that_are_dangerous_to_a_server_are_refused_as_fields_are() -> None:
    with pytest.raises(InvalidRequest, match="vllm_xargs"):
        refuse(parse(MODEL, FILE, field(b"vllm_xargs", b"{}")).fields)
