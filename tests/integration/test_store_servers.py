"""The servers that stand behind meters in tests do what their names say: frozen, killed and back, with their data."""

from __future__ import annotations

import socket

import pytest

from tests.support.store_servers import PostgresServer, RedisServer, StoreServer, missing, running


def keeps(server: StoreServer, value: str) -> None:
    if isinstance(server, RedisServer):
        assert said(server, f"SET kept {value}") == "+OK"
    else:
        assert isinstance(server, PostgresServer)
        server.query(f"CREATE TABLE kept AS SELECT '{value}' AS value")


def kept(server: StoreServer) -> str:
    if isinstance(server, RedisServer):
        return said(server, "GET kept").split("\r\n")[-1]
    assert isinstance(server, PostgresServer)
    return server.query("SELECT value FROM kept").strip()


def said(server: StoreServer, command: str) -> str:
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(command.encode() + b"\r\n")
        return connection.recv(65536).decode().strip()


@pytest.mark.parametrize("kind", [pytest.param(RedisServer, id="redis"), pytest.param(PostgresServer, id="postgres")])
def test_a_server_freezes_dies_and_comes_back_with_its_data(kind: type[StoreServer]) -> None:
    if reason := missing("redis" if kind is RedisServer else "postgresql"):
        pytest.skip(reason)
    with running(kind()) as server:
        keeps(server, "this")
        server.freeze()
        with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
            connection.settimeout(0.3)
            connection.sendall(b"PING\r\n")
            with pytest.raises(TimeoutError):
                connection.recv(1)
        server.thaw()
        assert kept(server) == "this"
        server.kill()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", server.port), 5)
        server.start()
        assert kept(server) == "this"
