"""Transcriptions through a gateway to a server that keeps the bytes it gets; reranks and scores; what is not served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.talking import body, error, status, talk
from tests.support.upstream import DONE_FRAME, LAST_CHUNK, says, stream, unary

TYPE = b'multipart/form-data; boundary="a b"'
SOUND = bytes(range(256)) * 5_000  # more than one read of a socket
PATH = "/v1/audio/transcriptions"
TEXT = b'{"text":"hello","usage":{"type":"duration","seconds":1}}'
SAME_NAME = {"m": {"backend": "b", "served_model": "m"}}


def field(name: bytes, value: bytes, more: bytes = b"") -> bytes:
    return b'--a b\r\nContent-Disposition: form-data; name="' + name + b'"' + more + b"\r\n\r\n" + value + b"\r\n"


FILE = field(b"file", SOUND, b'; filename="a.wav"\r\nContent-Type: audio/wav')
FORM = field(b"model", b"m") + FILE + field(b"language", b"fr") + b"--a b--\r\n"


def test_a_form_reaches_the_backend_byte_for_byte(tmp_path: Path) -> None:
    answer, (record,), upstream = talk(
        tmp_path, [says(unary(TEXT))], FORM, path=PATH, content_type=TYPE, models=SAME_NAME
    )
    (seen,) = upstream.seen
    assert seen.head.startswith(b"POST /v1/audio/transcriptions ")
    assert seen.header("content-type") == TYPE.decode()
    assert seen.body == FORM
    assert body(answer) == TEXT
    assert (record.endpoint, record.alias, record.outcome) == ("transcriptions", "m", "answered")


def test_only_the_models_name_is_exchanged(tmp_path: Path) -> None:
    _, _, upstream = talk(tmp_path, [says(unary(TEXT))], FORM, path=PATH, content_type=TYPE)
    assert upstream.seen[0].body == FORM.replace(
        field(b"model", b"m"), field(b"model", b"served").replace(b"Content-Disposition", b"content-disposition"), 1
    )


def test_an_answer_that_is_text_comes_as_text(tmp_path: Path) -> None:
    vtt = unary(b"WEBVTT\n\nhello").replace(b"application/json", b"text/vtt")
    answer, _, _ = talk(tmp_path, [says(vtt)], FORM, path=PATH, content_type=TYPE)
    assert b"content-type: text/vtt\r\n" in answer
    assert body(answer) == b"WEBVTT\n\nhello"


def test_a_stream_asked_for_in_the_form_is_streamed(tmp_path: Path) -> None:
    frames = [
        b'data: {"object":"transcription.chunk","choices":[{"delta":{"content":"hello"}}]}\n\n',
        b'data: {"object":"transcription.chunk","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}\n\n',
        DONE_FRAME,
    ]
    form = field(b"stream", b"true") + FORM
    answer, (record,), _ = talk(tmp_path, [says(stream(frames))], form, path=PATH, content_type=TYPE)
    assert answer.endswith(LAST_CHUNK)
    assert body(answer) == b"".join(frames)
    assert (record.stream, record.input_tokens, record.output_tokens) == (True, 9, 2)


@pytest.mark.parametrize(
    ("form", "content_type", "words"),
    [
        (FORM, b"application/json", "must be multipart/form-data"),
        (FORM, b"multipart/form-data", "with a boundary"),
        (FORM[: len(FORM) // 2], TYPE, "part 1 of the form is cut"),
        (FORM.replace(b'"model"', b'"modell"'), TYPE, "no part named model"),
        (field(b"model", b"other") + FORM, TYPE, "two parts named model"),
        (field(b"vllm_xargs", b"{}") + FORM, TYPE, "vllm_xargs is not accepted"),
    ],
)
def test_a_form_that_cannot_be_read_is_a_400_and_reaches_nobody(
    tmp_path: Path, form: bytes, content_type: bytes, words: str
) -> None:
    answer, (record,), upstream = talk(tmp_path, [says(unary(TEXT))], form, path=PATH, content_type=content_type)
    assert status(answer) == 400
    assert words in error(answer)["message"]
    assert (upstream.seen, record.code) == ([], "invalid_request")


def test_a_form_over_the_limit_is_a_413(tmp_path: Path) -> None:
    limits = {"body": 100_000}
    answer, _, upstream = talk(tmp_path, [says(unary(TEXT))], FORM, path=PATH, content_type=TYPE, limits=limits)
    assert (status(answer), upstream.seen) == (413, [])


@pytest.mark.parametrize(
    ("path", "request_body"),
    [
        (PATH, FORM),
        ("/v1/rerank", {"model": "m", "query": "a", "documents": ["b"]}),
        ("/v1/score", {"model": "m", "text_1": "a", "text_2": "b"}),
    ],
)
def test_a_backend_that_has_no_such_endpoint_is_not_asked(tmp_path: Path, path: str, request_body: Any) -> None:
    content_type = TYPE if path == PATH else b"application/json"
    answer, _, upstream = talk(
        tmp_path, [says(unary())], request_body, path=path, content_type=content_type, kind="fake"
    )
    assert (status(answer), error(answer)["code"]) == (400, "not_served")
    assert upstream.seen == []


@pytest.mark.parametrize(
    ("path", "request_body"),
    [
        ("/v1/rerank", {"model": "m", "query": "a", "documents": ["b"], "top_n": 1}),
        ("/v1/score", {"model": "m", "text_1": "a", "text_2": ["b"]}),
    ],
)
def test_a_ranking_passes_with_its_usage(tmp_path: Path, path: str, request_body: dict[str, Any]) -> None:
    ranked = b'{"id":"x","results":[],"usage":{"prompt_tokens":5,"total_tokens":5}}'
    answer, (record,), upstream = talk(tmp_path, [says(unary(ranked))], request_body, path=path)
    assert upstream.seen[0].head.startswith(b"POST " + path.encode() + b" ")
    sent = json.loads(upstream.seen[0].body)
    assert {name: sent[name] for name in request_body} == {**request_body, "model": "served"}
    assert body(answer) == ranked
    assert (record.endpoint, record.input_tokens, record.output_tokens) == (path.removeprefix("/v1/"), 5, 0)


def test_moderations_are_not_served_where_nothing_is_checked(tmp_path: Path) -> None:
    answer, (record,), _ = talk(tmp_path, [says(unary())], {"model": "m", "input": "x"}, path="/v1/moderations")
    assert (status(answer), error(answer)["code"], record.code) == (404, "unknown_path", "unknown_path")
