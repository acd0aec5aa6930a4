"""Forms of any bytes: read as what they were made of, and never as something else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequest
from gateway.wire import multipart, transcriptions

EDGE = b"edge"
TYPE = b"multipart/form-data; boundary=edge"
contents = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"--", b"edg", b"e", b"\0", b"\xff", b":"]), max_size=8
).map(b"".join)
names = st.text(st.sampled_from("ab_.[]-9"), min_size=1, max_size=5)
fields = st.lists(st.tuples(names, st.booleans(), contents), max_size=5)
pieces = st.sampled_from(
    [
        *(b"--edge", b"--edge\r\n", b"--edge--", b"\r\n", b"\r\n\r\n", b"--", b"x", b'"', b"\\", b";"),
        *(
            b'Content-Disposition: form-data; name="model"',
            b'content-disposition: form-data; name="file"; filename="a"',
        ),
        *(b'name="model"', b"form-data", b"Content-Type: text/plain", b"\xff"),
    ]
)


def form(said: list[tuple[str, bool, bytes]]) -> bytes:
    body = b""
    for name, is_file, content in said:
        more = b'; filename="f"' if is_file else b""
        body += b'--edge\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (name.encode(), more, content)
    return body + b"--edge--\r\n"


@given(fields.filter(lambda said: all(b"\r\n--edge" not in b"\r\n" + content for _, _, content in said)))
def test_a_form_is_read_as_it_was_made(said: list[tuple[str, bool, bytes]]) -> None:
    body = form(said)
    assert [(p.name, p.is_file, body[p.start : p.end]) for p in multipart.parts(body, EDGE)] == said


@given(st.lists(pieces, max_size=16).map(b"".join))
def test_any_bytes_are_a_form_or_refused_and_a_forms_parts_lie_behind_each_other(body: bytes) -> None:
    try:
        found = list(multipart.parts(body, EDGE))
    except InvalidRequest:
        return
    at = 0
    for part in found:
        assert at < part.head < part.start <= part.end <= len(body)
        at = part.end


@given(st.lists(pieces, max_size=16).map(b"".join), st.sampled_from([TYPE, b"application/json", b"\xff"]))
def test_any_request_is_read_or_refused(body: bytes, content_type: bytes) -> None:
    try:
        call = transcriptions.parse(body, content_type)
    except InvalidRequest:
        return
    sent = transcriptions.outgoing(call, "other", b"", {})
    assert transcriptions.parse(sent, content_type).alias == "other"
