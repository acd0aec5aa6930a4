"""What a caller may send along to find its request again."""

from __future__ import annotations

import pytest

from gateway.wire import trace

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_valid_trace_parent_is_kept_as_sent() -> None:
    assert trace.parent(PARENT) == PARENT.decode()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        PARENT[:-1],
        PARENT + b"0",
        PARENT.upper(),
        b"01" + PARENT[2:],
        b"00-" + b"0" * 32 + PARENT[35:],
        PARENT[:36] + b"0" * 16 + b"-01",
        PARENT + b"\n",
        b" " + PARENT,
    ],
)
def test_any_other_trace_parent_is_as_if_not_sent(value: bytes) -> None:
    assert trace.parent(value) == ""


@pytest.mark.parametrize("value", [b"a", b"req-1_2.3~!", b"x" * 128])
def test_a_printable_request_id_is_kept_as_sent(value: bytes) -> None:
    assert trace.caller_id(value) == value.decode()


@pytest.mark.parametrize(
    "value", [b"", b"x" * 129, b"two words", b"a\r\nset-cookie: b", b"tab\t", b"\x7f", "é".encode()]
)
def test_a_request_id_that_could_spoil_a_header_is_as_if_not_sent(value: bytes) -> None:
    assert trace.caller_id(value) == ""
