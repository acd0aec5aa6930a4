"""What an endpoint's URL says of where it listens. How connections are lent is asked over sockets (integration)."""

from __future__ import annotations

import pytest

from gateway.backends.pool import Address


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "base", "header"),
    [
        ("http://vllm-0:8000", "vllm-0", 8000, False, b"", b"vllm-0:8000"),
        ("http://vllm-0", "vllm-0", 80, False, b"", b"vllm-0"),
        ("https://models.example", "models.example", 443, True, b"", b"models.example"),
        ("http://h:1/a/b/", "h", 1, False, b"/a/b", b"h:1"),
        ("http://[::1]:8000", "::1", 8000, False, b"", b"[::1]:8000"),
        ("http://user:word@h:1", "h", 1, False, b"", b"h:1"),
    ],
)
def test_a_url_says_where_to_connect_and_what_to_call_it(
    url: str, host: str, port: int, tls: bool, base: bytes, header: bytes
) -> None:
    address = Address(url)
    assert (address.host, address.port, address.tls, address.base) == (host, port, tls, base)
    assert address.host_header == header
    assert address.path is None


def test_a_unix_socket_is_a_path_and_has_no_base() -> None:
    address = Address("unix:///run/models/small.sock")
    assert (address.path, address.base, address.tls) == ("/run/models/small.sock", b"", False)


@pytest.mark.parametrize("url", ["", "vllm-0:8000", "ftp://h", "http://", "//h:1", "http://h:port"])
def test_what_is_no_url_of_an_endpoint_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"url|port|Port"):
        Address(url)
