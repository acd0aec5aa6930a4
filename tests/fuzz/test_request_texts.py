"""The texts of requests of any content, in every format: nothing is lost, nothing is hidden, nothing breaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequest
from gateway.wire import chat, completions, embeddings, multipart, scoring, transcriptions
from gateway.wire.call import Call
from gateway.wire.edited import REQUESTS
from gateway.wire.form_texts import FormTexts
from gateway.wire.messages import codec as messages
from gateway.wire.request_texts import NO_TEXT
from gateway.wire.responses import codec as responses

SECRET = "what joe said"
MAIN: dict[Callable[[bytes], Call], str] = {
    chat.parse: "messages",
    completions.parse: "prompt",
    embeddings.parse: "input",
    messages.parse: "messages",
    messages.parse_count: "messages",
    responses.parse: "input",
    scoring.parse_score: "queries",
}
parses = st.sampled_from(list(MAIN))

words = st.one_of(st.text(st.sampled_from('ab"\\{}[],:\n é\U0001f600'), max_size=6), st.just(SECRET))
kinds = st.sampled_from(
    [
        *("user", "assistant", "tool", "function", "text", "tool_use", "tool_result", "function_call", "mcp_call"),
        *("function_call_output", "file_search_call", "c1", "mail", "data:image/png;base64,AA", "A" * 64),
    ]
)
names = st.one_of(
    st.sampled_from(
        [
            *("role", "type", "content", "text", "name", "id", "call_id", "tool_call_id", "tool_use_id", "tool_calls"),
            *("function", "arguments", "input", "output", "results", "data", "url", "image_url", "parameters"),
        ]
    ),
    words,
)
numbers = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False))
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, words, kinds),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)),
    max_leaves=15,
)
more = st.dictionaries(
    st.sampled_from(
        ["tools", "functions", "system", "instructions", "documents", "prompt", "suffix", "own", "include"]
    ),
    anything,
    max_size=3,
)


def body_of(parse: Callable[[bytes], Call], main: Any, fields: dict[str, Any]) -> bytes:
    return json.dumps({"model": "m", **fields, MAIN[parse]: main}).encode()


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from strings(each)


@given(parses, st.one_of(st.lists(anything, max_size=4), anything), more)
def test_the_same_texts_make_the_same_request_and_others_leave_nothing_of_it(
    parse: Callable[[bytes], Call], main: Any, fields: dict[str, Any]
) -> None:
    body = body_of(parse, main, fields)
    try:
        call = parse(body)
    except InvalidRequest:
        return
    texts = REQUESTS[call.endpoint](call)
    assert [part.text for part in REQUESTS[call.endpoint](call).parts] == [part.text for part in texts.parts]

    read, whole = texts.said([part.text for part in texts.parts])
    assert json.loads(whole) == json.loads(body)
    assert list(strings(json.loads(whole))) == list(strings(json.loads(body)))
    assert {name: json.loads(value) for name, value in read.items()}.items() <= json.loads(body).items()

    _, whole = texts.said([f'"mark{index}"' for index in range(len(texts.parts))])
    left = {name: value for name, value in json.loads(whole).items() if name not in NO_TEXT}
    assert SECRET not in "\n".join(strings(left))
    assert sum(text.count("mark") for text in strings(left)) == len(texts.parts)


@pytest.mark.parametrize("parse", list(MAIN))
@given(st.binary(max_size=60), st.sampled_from([b"[", b'[{"content":"', b'"', b"{", b""]))
def test_any_bytes_are_read_or_refused(parse: Callable[[bytes], Call], data: bytes, start: bytes) -> None:
    try:
        call = parse(b'{"model":"m","%b":' % MAIN[parse].encode() + start + data)
        texts = REQUESTS[call.endpoint](call)
        texts.said([part.text for part in texts.parts])
    except InvalidRequest:
        pass


@given(
    st.lists(st.tuples(st.sampled_from(["prompt", "hotwords", "language", "x[]"]), st.text()), max_size=4), st.text()
)
def test_a_form_keeps_its_parts_with_any_texts(given_parts: list[tuple[str, str]], other: str) -> None:
    parts = [("model", "m"), ("file", "sound"), *given_parts]
    head = '--edge\r\ncontent-disposition: form-data; name="'
    lines = [f'{head}{name}"\r\n\r\n{text}\r\n' for name, text in parts]
    try:
        call = transcriptions.parse("".join([*lines, "--edge--"]).encode(), b"multipart/form-data; boundary=edge")
        form = FormTexts(call)
        same = form.said([part.text for part in form.parts])[1]
        changed = form.said([other] * len(form.parts))[1]
    except InvalidRequest:
        return
    assert same == call.body
    names = [part.name for part in multipart.parts(call.body, b"edge")]
    assert [part.name for part in multipart.parts(changed, b"edge")] == names
    again = FormTexts(call.changed(body=changed))
    assert [part.text for part in again.parts] == [other] * len(form.parts) * bool(other)
