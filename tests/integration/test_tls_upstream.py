"""Upstreams that are not plain TCP: TLS with a certificate that is checked, and unix sockets."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.gateway import CHAT, STREAM, config, post, serving
from tests.support.running import run
from tests.support.upstream import ANSWER, DONE_FRAME, FRAMES, stream, unary

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="makes certificates with the openssl command"
)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def certificate(directory: Path, name: str, address: str) -> tuple[Path, Path]:
    """A self-signed certificate for `address`, good as its own authority: (certificate, key)."""
    made, key = directory / f"{name}.pem", directory / f"{name}.key"
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={address}"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        [*command, *subject, "-days", "2", "-keyout", str(key), "-out", str(made)], check=True, capture_output=True
    )
    return made, key


class Seen:
    """What an upstream met: `first_bytes` of every connection, requests answered."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[bytes] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(length)
                self.requests.append(body)
                asked = json.loads(body).get("stream")
                writer.write(stream([*FRAMES, DONE_FRAME]) if asked else unary())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: Path, served: tuple[Path, Path]) -> Seen:
    """One plain and one streamed request to an upstream that serves `served`, by a gateway that trusts `trusted`."""
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*served)
    seen = Seen()
    server = await asyncio.start_server(seen.answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        found = config({"b": [f"https://127.0.0.1:{port}"]}, retries={"attempts": 2, "share": 1.0})
        async with serving(found, tmp_path / "state") as gateway:
            plain = [await gateway.raw(post(request_)) for request_ in (CHAT, STREAM)]
            records = gateway.records()
    finally:
        server.close()
        await server.wait_closed()
    if seen.requests:
        assert plain[0].endswith(ANSWER)
        assert DONE_FRAME in plain[1]
        assert seen.connections == 1  # kept
    else:
        for answer in plain:
            assert answer.startswith(b"HTTP/1.1 502")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "connect_failed"
        assert {(record.outcome, record.code) for record in records} == {("failed", "connect_failed")}
    return seen


@needs_openssl
def test_a_certificate_of_a_trusted_authority_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = certificate(tmp_path, "good", "IP:127.0.0.1")
    assert len(run(over_tls(tmp_path, monkeypatch, served[0], served)).requests) == 2


@needs_openssl
@pytest.mark.parametrize("wrong", ["another authority", "another name"])
def test_a_wrong_certificate_is_a_502_and_nothing_is_ever_said_to_such_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    if wrong == "another authority":
        trusted, _ = certificate(tmp_path, "trusted", "IP:127.0.0.1")
        served = certificate(tmp_path, "served", "IP:127.0.0.1")
    else:
        served = certificate(tmp_path, "served", "DNS:elsewhere.example")
        trusted = served[0]
    assert run(over_tls(tmp_path, monkeypatch, trusted, served)).requests == []


def test_a_server_that_speaks_no_tls_is_a_502_and_never_gets_a_request_in_the_clear(tmp_path: Path) -> None:
    got: list[bytes] = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.read(65536))
        writer.write(unary())
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(plain, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with serving(config({"b": [f"https://127.0.0.1:{port}"]}), tmp_path) as gateway:
            answer = await gateway.raw(post(CHAT))
        server.close()
        await server.wait_closed()
        assert answer.startswith(b"HTTP/1.1 502")
        assert got
        assert all(data[:1] == b"\x16" and b"POST" not in data for data in got)  # a TLS handshake, each time

    run(main())


def test_an_endpoint_on_a_unix_socket_serves_and_one_that_is_gone_is_a_502(tmp_path: Path) -> None:
    async def main() -> None:
        seen = Seen()
        path = tmp_path / "m.sock"
        server = await asyncio.start_unix_server(seen.answer, path)
        try:
            async with serving(config({"b": [f"unix://{path}"]}), tmp_path / "state") as gateway:
                for _ in range(2):
                    assert (await gateway.raw(post(CHAT))).endswith(ANSWER)
                assert DONE_FRAME in await gateway.raw(post(STREAM))
                assert seen.connections == 1
        finally:
            server.close()
            await server.wait_closed()
        path.unlink(missing_ok=True)
        async with serving(config({"b": [f"unix://{path}"]}), tmp_path / "other") as gateway:
            assert (await gateway.raw(post(CHAT))).startswith(b"HTTP/1.1 502")

    run(main())
