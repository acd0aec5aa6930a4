from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.serving import (
    Gone,
    add_address_options,
    clear_stale_socket,
    decode_object,
    read_body,
    send_error,
    unless_gone,
)
from gateway.errors import BodyTooLarge, InvalidRequest, UpstreamBusy

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


def messages(*parts: bytes | None) -> Receive:
    """A request body in parts; None is a client that leaves; after the last one nothing more comes."""
    rest = list(parts)

    async def receive() -> MutableMapping[str, Any]:
        if not rest:
            await asyncio.get_running_loop().create_future()
        part = rest.pop(0)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(rest)}

    return receive


def test_a_body_is_joined_from_its_parts() -> None:
    assert asyncio.run(read_body(messages(b"a", b"", b"bc"), 3)) == b"abc"


def test_a_body_over_the_limit_is_refused_before_its_end() -> None:
    with pytest.raises(BodyTooLarge):
        asyncio.run(read_body(messages(b"ab", b"cd", b"never read"), 3))


def test_a_client_that_leaves_within_its_body_is_gone() -> None:
    with pytest.raises(Gone):
        asyncio.run(read_body(messages(b"a", None), 3))


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"x"', b"\xff\xfe", b"[" * 200_000])
def test_only_a_json_object_is_taken(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode_object(body)


def test_work_ends_undisturbed_while_the_client_stays() -> None:
    done: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append("work")

    asyncio.run(unless_gone(messages(), work()))
    assert done == ["work"]


def test_work_is_cancelled_when_the_client_leaves() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with pytest.raises(Gone):
        asyncio.run(unless_gone(messages(None), work()))
    assert ended == ["cancelled"]


def test_an_error_of_the_work_passes() -> None:
    async def work() -> None:
        raise InvalidRequest("no")

    with pytest.raises(InvalidRequest):
        asyncio.run(unless_gone(messages(), work()))


def test_an_error_has_openais_shape_and_its_headers() -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(send_error(send, UpstreamBusy("full", headers=(("retry-after", "1"),))))
    assert sent[0]["status"] == 503
    assert (b"retry-after", b"1") in sent[0]["headers"]
    assert (
        sent[1]["body"] == b'{"error":{"message":"full","type":"upstream_error","param":null,"code":"upstream_busy"}}'
    )


def test_a_file_that_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    clear_stale_socket(str(path))
    path.write_text("precious")
    with pytest.raises(SystemExit, match="not a socket"):
        clear_stale_socket(str(path))
    assert path.read_text() == "precious"


def test_every_server_listens_on_this_machine_only_unless_told() -> None:
    parser = argparse.ArgumentParser()
    add_address_options(parser)
    args = parser.parse_args([])
    assert (args.host, args.port, args.socket, args.parent) == ("127.0.0.1", 0, None, None)
