"""A multipart/form-data body as its parts: where each begins and ends, never what is in it (RFC 7578, RFC 2046 §5.1).

Stricter than the standard on purpose: the gateway reads the model's name from such a body, and the backend reads it
again. Whatever two readers could take for different parts is refused here: a boundary followed by anything but a line
end, a preamble, a header that is folded or repeated, a name with escapes, bytes behind the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from gateway.errors import InvalidRequest

MAX_PARTS: Final = 100
MAX_HEAD_BYTES: Final = 4_096

_CONTENT_TYPE: Final = re.compile(
    rb"multipart/form-data[ \t]*;[ \t]*boundary=(?:\"([0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-])\""
    rb"|([0-9A-Za-z'()+_,./:=?-]{1,70}))",
    re.IGNORECASE,
)
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)")
_DISPOSITION: Final = re.compile(
    rb"form-data((?:[ \t]*;[ \t]*[a-z*]+=(?:\"(?:[^\"\\]|\\\")*\"|[^\s\";=,]+))+)", re.IGNORECASE
)
_PARAMETER: Final = re.compile(rb";[ \t]*([a-z*]+)=(?:\"((?:[^\"\\]|\\\")*)\"|([^\s\";=,]+))", re.IGNORECASE)
_NAME: Final = re.compile(rb"[0-9A-Za-z_.\[\]-]{1,100}")
_PLAIN: Final = frozenset((b"7bit", b"8bit", b"binary"))


class Part(NamedTuple):
    """One field of a form: its head is `body[head:start]`, its content `body[start:end]`."""

    name: str
    is_file: bool
    head: int
    start: int
    end: int


def boundary(content_type: bytes) -> bytes:
    """What parts the body, from the header `content-type`. Raises InvalidRequest for any other type."""
    found = _CONTENT_TYPE.fullmatch(content_type)
    if found is None:
        raise InvalidRequest("the content-type must be multipart/form-data with a boundary, and nothing else")
    return found[1] or found[2]


def parts(body: bytes, edge: bytes) -> Iterator[Part]:
    """The parts of a body in order. Raises InvalidRequest that says which part is wrong (counted from 0), and how, when
    it comes to it.
    """
    delimiter = b"\r\n--" + edge
    at = len(delimiter) - 2
    if not body.startswith(delimiter[2:]):
        raise InvalidRequest("the form does not begin with the boundary that its content-type names")
    number = 0
    while True:
        after = body[at : at + 2]
        if after == b"--":
            if body[at + 2 : at + 5] not in (b"", b"\r\n"):
                raise InvalidRequest("the form goes on behind its last boundary")
            return
        if after != b"\r\n":
            raise InvalidRequest(
                f"part {number} of the form: its boundary is followed by something else than a line end"
            )
        if number == MAX_PARTS:
            raise InvalidRequest(f"the form has more than {MAX_PARTS} parts")
        head_end = body.find(b"\r\n\r\n", at, at + MAX_HEAD_BYTES)
        if head_end < 0:
            raise InvalidRequest(
                f"part {number} of the form: its headers are cut, or longer than {MAX_HEAD_BYTES} bytes"
            )
        name, is_file = _described(body[at + 2 : head_end], number)
        start = head_end + 4
        end = body.find(delimiter, start)
        if end < 0:
            raise InvalidRequest(f"part {number} of the form is cut: no boundary follows it")
        yield Part(name, is_file, at + 2, start, end)
        at = end + len(delimiter)
        number += 1


def _described(head: bytes, number: int) -> tuple[str, bool]:
    """Name of a part, and whether it is a file."""
    disposition: bytes | None = None
    for line in head.split(b"\r\n"):
        header = _HEADER.fullmatch(line)
        if header is None:
            raise InvalidRequest(f"part {number} of the form has a malformed header")
        title, value = header[1].lower(), header[2].strip(b" \t")
        if title == b"content-disposition":
            if disposition is not None:
                raise InvalidRequest(f"part {number} of the form has two headers content-disposition")
            disposition = value
        elif title == b"content-transfer-encoding" and value.lower() not in _PLAIN:
            raise InvalidRequest(f"part {number} of the form has an encoding; send its content as it is")
    found = None if disposition is None else _DISPOSITION.fullmatch(disposition)
    if found is None:
        raise InvalidRequest(f'part {number} of the form needs a header content-disposition: form-data; name="…"')
    said: dict[bytes, bytes] = {}
    for parameter, quoted, token in _PARAMETER.findall(found[1]):
        if parameter.lower() in said:
            raise InvalidRequest(f"part {number} of the form has two parameters of one name")
        said[parameter.lower()] = token or quoted
    name = said.get(b"name", b"")
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"part {number} of the form has no name, or one that is not of letters, digits and _ . - [ ]"
        )
    return name.decode("ascii"), b"filename" in said or b"filename*" in said
