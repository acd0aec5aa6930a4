"""Forms: where their parts are, and that two readers cannot take one for different ones."""

from __future__ import annotations

import pytest

from gateway.errors import InvalidRequest
from gateway.wire import multipart

EDGE = b"edge"


def part(content: bytes, disposition: bytes = b'form-data; name="a"', *headers: bytes) -> bytes:
    lines = [b"content-disposition: " + disposition, *headers]
    return b"--edge\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + content + b"\r\n"


END = b"--edge--\r\n"


def read(body: bytes) -> list[tuple[str, bool, bytes]]:
    return [(each.name, each.is_file, body[each.start : each.end]) for each in multipart.parts(body, EDGE)]


@pytest.mark.parametrize(
    ("content_type", "edge"),
    [
        (b"multipart/form-data; boundary=edge", b"edge"),
        (b'Multipart/Form-Data;boundary="a b"', b"a b"),
        (b"multipart/form-data; boundary====7==", b"===7=="),
        (
            b"multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
            b"----WebKitFormBoundary7MA4YWxkTrZu0gW",
        ),
    ],
)
def test_the_boundary_is_in_the_content_type(content_type: bytes, edge: bytes) -> None:
    assert multipart.boundary(content_type) == edge


@pytest.mark.parametrize(
    "content_type",
    [
        b"",
        b"application/json",
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary="a "',
        b"multipart/form-data; boundary=" + b"x" * 71,
        b"multipart/form-data; boundary=a; charset=utf-16",
        b"multipart/mixed; boundary=a",
        b"multipart/form-data; boundary=a b",
        b"multipart/form-data; boundary=a, multipart/form-data; boundary=b",
    ],
)
def test_any_other_content_type_is_refused(content_type: bytes) -> None:
    with pytest.raises(InvalidRequest, match="content-type must be multipart/form-data"):
        multipart.boundary(content_type)


def test_parts_are_found_in_order_with_their_contents() -> None:
    sound = bytes(range(256)) + b"\r\n--edg\r\n\r\n--"
    body = (
        part(b"tiny", b'form-data; name="model"', b"Content-Length: 4")
        + part(b"", b"form-data; name=empty")
        + part(sound, b'form-data; name="file"; filename="a;\\"b.wav"', b"Content-Type: audio/wav")
        + part(b"x", b"FORM-DATA;name=\"t[]\" ; filename*=utf-8''x")
        + END
    )
    assert read(body) == [
        ("model", False, b"tiny"),
        ("empty", False, b""),
        ("file", True, sound),
        ("t[]", True, b"x"),
    ]


def test_the_last_line_end_may_be_left_out_and_a_form_may_be_empty() -> None:
    assert read(part(b"x") + END[:-2]) == [("a", False, b"x")]
    assert read(END) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "does not begin with the boundary"),
        (b"\r\n" + part(b"x") + END, "does not begin with the boundary"),
        (part(b"x").replace(b"--edge", b"--edges") + END, "followed by something else"),
        (part(b"x") + b"--edge \r\n" + END, "part 1 of the form: its boundary is followed by"),
        (part(b"x") + b"--edge-", "part 1 of the form: its boundary is followed by"),
        (part(b"x") + b"--edge", "part 1 of the form: its boundary is followed by"),
        (part(b"x"), "part 0 of the form is cut"),
        (part(b"x")[:-2], "part 0 of the form is cut"),
        (part(b"x")[:20], "part 0 of the form: its headers are cut"),
        (part(b"x", b'form-data; name="a"', b"x: " + b"y" * 5000) + END, "longer than 4096 bytes"),
        (part(b"x") + END + b"more", "goes on behind its last boundary"),
        (part(b"x") + END + part(b"y") + END, "goes on behind its last boundary"),
        (part(b"x") * 101 + END, "more than 100 parts"),
        (b"--edge\r\n\r\n\r\nx\r\n" + END, "malformed header"),
        (part(b"x", b'form-data; name="a"', b"no colon") + END, "malformed header"),
        (part(b"x", b'form-data;\r\n name="a"') + END, "malformed header"),
        (part(b"x", b'form-data;\n name="a"') + END, "malformed header"),
        (part(b"x", b'form-data; name="a"', b'content-disposition: form-data; name="b"') + END, "two headers"),
        (part(b"x", b'form-data; name="a"', b"content-transfer-encoding: base64") + END, "has an encoding"),
        (part(b"x", b"form-data") + END, "needs a header content-disposition"),
        (part(b"x", b'attachment; name="a"') + END, "needs a header content-disposition"),
        (part(b"x", b'form-data; name="a"; name="b"') + END, "two parameters of one name"),
        (part(b"x", b'form-data; name="a"; NAME=b') + END, "two parameters of one name"),
        (part(b"x", b'form-data; filename="a"') + END, "has no name"),
        (part(b"x", b'form-data; name=""') + END, "has no name"),
        (part(b"x", b'form-data; name="mod%65l"') + END, "has no name"),
        (part(b"x", b'form-data; name="a\\"b"') + END, "has no name"),
        (part(b"x", b'form-data; name="a"; filename="b\\\\"; x="c"') + END, "needs a header content-disposition"),
        (part(b"x", 'form-data; name="é"'.encode()) + END, "has no name"),
    ],
)
def test_what_two_readers_could_take_differently_is_refused_by_the_parts_number(body: bytes, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read(body)


@pytest.mark.parametrize("encoding", [b"7bit", b"8BIT", b"binary"])
def test_content_as_it_is_may_say_so(encoding: bytes) -> None:
    assert read(part(b"x", b'form-data; name="a"', b"Content-Transfer-Encoding: " + encoding) + END)
