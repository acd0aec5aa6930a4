"""The server side of HTTP, over real sockets: what callers send that is wrong, late, odd or too much."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from tests.support.gateway import CHAT, KEY, Running, config, post, serving
from tests.support.running import run
from tests.support.upstream import ANSWER, Upstream, says, unary

LIMITS = {"body": 4096, "header": 2048, "request_s": 0.15, "keepalive_s": 0.15}


def exchange(tmp_path: Path, data: bytes, **limits: float) -> bytes:
    """Sends bytes to a gateway in front of a healthy upstream and returns everything that comes back."""

    async def talk() -> bytes:
        async with (
            Upstream([says(unary())]) as upstream,
            serving(config({"b": [upstream.url]}, limits={**LIMITS, **limits}), tmp_path) as gateway,
        ):
            return await gateway.raw(data)

    return run(talk())


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def answers(data: bytes) -> int:
    return len(re.findall(rb"HTTP/1\.1 \d{3} ", data))


def code(answer: bytes) -> str:
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"])


def test_a_request_is_answered_with_the_backends_bytes_and_our_request_id(tmp_path: Path) -> None:
    answer = exchange(tmp_path, post(CHAT, extra=b"x-request-id: theirs-1\r\n"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) == 200
    assert body == ANSWER
    assert b"\r\nx-request-id: req_" in head
    assert b"\r\nx-client-request-id: theirs-1" in head
    assert b"connection: close" in head


TO_CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"

MALFORMED = {
    "both framings": TO_CHAT + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": TO_CHAT + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "a negative length": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    "a length that is no number": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: five\r\n\r\nhello",
    "an obsolete folded header": b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a: b\r\n c\r\n\r\n",
    "a NUL in a header": b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a: b\x00c\r\n\r\n",
    "a bare LF between headers": b"GET /v1/models HTTP/1.1\nhost: x\n\n",
    "a bare CR in a header": b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a: b\rc: d\r\n\r\n",
    "a space before the colon": b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a : b\r\n\r\n",
    "no host": b"GET /v1/models HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /v1/models HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n",
    "two keys": b"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n",
    "an unknown version": b"GET /v1/models HTTP/3.7\r\nhost: x\r\n\r\n",
    "an unknown method": b"FETCH /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "another transfer coding": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n",
    "CONNECT": b"CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_head_is_a_400_and_the_connection_ends(tmp_path: Path, name: str) -> None:
    answer = exchange(tmp_path, MALFORMED[name])
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer
    assert code(answer) == "invalid_request"
    assert answers(answer) == 1


@pytest.mark.parametrize(
    "chunk", [b"zz\r\nhello\r\n", b"-5\r\nhello\r\n", b"5\r\nhelloXX0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n"]
)
def test_a_bad_chunk_is_a_400(tmp_path: Path, chunk: bytes) -> None:
    head = TO_CHAT + b"authorization: Bearer %b\r\ntransfer-encoding: chunked\r\n\r\n"
    answer = exchange(tmp_path, head % KEY.encode() + chunk)
    assert status(answer) == 400
    assert answers(answer) == 1


def test_a_chunked_body_is_read_like_any_other_and_its_trailers_are_ignored(tmp_path: Path) -> None:
    body = json.dumps(CHAT).encode()
    head = TO_CHAT + b"authorization: Bearer %b\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    answer = exchange(tmp_path, head % KEY.encode() + chunks + b"0\r\nauthorization: Bearer other\r\n\r\n")
    assert status(answer) == 200


def test_headers_over_the_limit_are_a_431_whether_they_come_at_once_or_never_end(tmp_path: Path) -> None:
    at_once = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 3000 + b"\r\n\r\n"
    endless = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 3000
    for data in (at_once, endless):
        answer = exchange(tmp_path, data)
        assert (status(answer), code(answer)) == (431, "headers_too_large")


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_the_limit_is_a_413_before_and_while_it_is_read(tmp_path: Path, declared: bool) -> None:
    data = b"x" * 5000
    if declared:
        request = post(data, close=False)
    else:
        head = TO_CHAT + b"authorization: Bearer %b\r\ntransfer-encoding: chunked\r\n\r\n"
        request = head % KEY.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
    answer = exchange(tmp_path, request)
    assert (status(answer), code(answer)) == (413, "body_too_large")


def test_a_body_never_sent_in_full_is_a_408(tmp_path: Path) -> None:
    answer = exchange(tmp_path, post(CHAT, close=False)[:-5])
    assert (status(answer), code(answer)) == (408, "request_timeout")
    assert b"connection: close" in answer


def test_a_head_never_sent_in_full_is_a_408(tmp_path: Path) -> None:
    answer = exchange(tmp_path, b"POST /v1/chat/comp")
    assert status(answer) == 408


def test_an_idle_connection_is_closed_without_a_word(tmp_path: Path) -> None:
    assert exchange(tmp_path, b"") == b""


def test_an_answered_connection_is_kept_and_then_closed_when_idle(tmp_path: Path) -> None:
    answer = exchange(tmp_path, post(CHAT, close=False) * 1)
    assert status(answer) == 200
    assert b"connection: close" not in answer


def test_pipelined_requests_are_answered_in_order_one_at_a_time(tmp_path: Path) -> None:
    models = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n\r\n" % KEY.encode()
    answer = exchange(
        tmp_path, post(CHAT, close=False) + models + b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n" + post(CHAT)
    )
    found = [int(part.split(b" ", 1)[0]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert found == [200, 200, 404, 200]


def test_requests_with_the_head_of_the_one_before_are_each_read_as_themselves(tmp_path: Path) -> None:
    """The second and later requests of a connection with the same head take a shorter way: no answer may differ."""
    texts = [b"a", b"bb" * 300, b"c", b"d" * 20, b"e", b"f" * 999]
    bodies = [b'{"model":"m","messages":[{"role":"user","content":"%b"}]}' % text for text in texts]

    async def talk() -> None:
        async with (
            Upstream([says(unary())] * len(bodies)) as upstream,
            serving(config({"b": [upstream.url]}, limits=LIMITS), tmp_path) as gateway,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            for body in bodies:
                writer.write(post(body, close=False))
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
                assert status(head) == 200
                assert await reader.readexactly(length) == ANSWER
            sent = [json.loads(request.body)["messages"] for request in upstream.seen]
            assert sent == [json.loads(body)["messages"] for body in bodies]

            writer.write(post(b'{"model":"m"', close=False))  # the known head, a body that is no JSON
            assert status(await reader.readuntil(b"\r\n\r\n")) == 400
            writer.close()
            records = gateway.records()
            assert [record.body_bytes for record in records[:-1]] == [len(body) for body in bodies]
            assert len({record.id for record in records}) == len(bodies) + 1

    run(talk())


def test_endless_pipelining_is_refused_and_not_stored(tmp_path: Path) -> None:
    answer = exchange(tmp_path, post(CHAT, close=False) + b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 2000)
    assert answers(answer) <= 2


def test_http_1_0_is_answered_without_chunks_and_closed(tmp_path: Path) -> None:
    answer = exchange(tmp_path, b"GET /v1/models HTTP/1.0\r\nauthorization: Bearer %b\r\n\r\n" % KEY.encode())
    assert status(answer) == 200
    assert b"connection: close" in answer


def test_100_continue_is_sent_only_when_the_body_is_wanted(tmp_path: Path) -> None:
    body = json.dumps(CHAT).encode()
    wanted = exchange(tmp_path, post(body, extra=b"expect: 100-continue\r\n")[: -len(body)] + body)
    assert wanted.startswith(b"HTTP/1.1 200")  # the body was there already: nothing to wait for

    async def waits(gateway: Running, key: str) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(post(body, key=key, extra=b"expect: 100-continue\r\n")[: -len(body)])
        first = await reader.readuntil(b"\r\n\r\n")
        if first.startswith(b"HTTP/1.1 100"):
            writer.write(body)
        rest = await reader.read()
        writer.close()
        return first + rest

    async def talk() -> tuple[bytes, bytes]:
        async with (
            Upstream([says(unary())]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            return await waits(gateway, KEY), await waits(gateway, "lg-wrong")

    good, bad = run(talk())
    assert good.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert bad.startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "GET", "PUT", "DELETE"])
def test_another_method_is_a_405_that_says_which_is_right(tmp_path: Path, method: str) -> None:
    answer = exchange(
        tmp_path, b"%b /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" % method.encode()
    )
    assert status(answer) == 405
    assert b"\r\nallow: POST\r\n" in answer
    assert answer.endswith(b"\r\n\r\n") == (method == "HEAD")


def test_unknown_paths_are_typed_404s(tmp_path: Path) -> None:
    for path in (
        b"/",
        b"/v1",
        b"/v1/chat/completions/",
        b"/v1/../v1/models",
        b"/metrics",
        b"/v1/load_lora_adapter",
        b"*",
    ):
        answer = exchange(tmp_path, b"POST %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" % path)
        assert (status(answer), code(answer)) == (404, "unknown_path"), path


def test_a_base_url_without_its_version_is_told_what_it_lacks(tmp_path: Path) -> None:
    answer = exchange(tmp_path, b"POST /chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert (status(answer), code(answer)) == (404, "unknown_path")
    assert b"the base URL ends in /v1" in answer


def test_the_absolute_form_of_a_target_reaches_the_same_endpoint_whatever_host_it_names(tmp_path: Path) -> None:
    answer = exchange(
        tmp_path,
        b"GET http://elsewhere.example/v1/models?x=1 HTTP/1.1\r\nhost: other\r\nconnection: close\r\n"
        b"authorization: Bearer %b\r\n\r\n" % KEY.encode(),
    )
    assert status(answer) == 200


def test_an_upgrade_to_h2c_is_ignored_and_the_body_still_read(tmp_path: Path) -> None:
    extra = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
    answer = exchange(tmp_path, post(CHAT, extra=extra, close=False))
    assert status(answer) == 200


def test_health_costs_no_key_and_leaves_no_record(tmp_path: Path) -> None:
    async def talk() -> None:
        async with (
            Upstream([says(unary())]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            for path in (b"/healthz", b"/readyz"):
                answer = await gateway.raw(b"GET %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" % path)
                assert answer.startswith(b"HTTP/1.1 200")
            assert gateway.records() == []

    run(talk())


def test_every_cut_of_a_request_in_two_is_the_same_request(tmp_path: Path) -> None:
    whole = post(CHAT, extra=b"x-request-id: a\r\n", close=False)

    async def talk() -> None:
        async with (
            Upstream([says(unary())]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            for at in range(1, len(whole)):
                writer.write(whole[:at])
                await asyncio.sleep(0)
                writer.write(whole[at:])
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200"), at
                assert await reader.readexactly(len(ANSWER)) == ANSWER
            writer.close()
            assert {seen.body for seen in upstream.seen} == {upstream.seen[0].body}

    run(talk())


def test_a_large_body_in_any_pieces_is_read_whole_and_the_request_behind_it_too(tmp_path: Path) -> None:
    large = {**CHAT, "messages": [{"role": "user", "content": "x" * 300_000}]}
    first, second = post(large, close=False), post(CHAT)
    head_end = first.index(b"\r\n\r\n") + 4

    async def talk() -> None:
        async with (
            Upstream([says(unary())]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            for cut in (head_end, head_end + 1, 70_000, 200_000, len(first) - 1, len(first), len(first) + 40):
                reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
                whole = first + second
                writer.write(whole[:cut])
                await writer.drain()
                await asyncio.sleep(0.01)  # so that the pieces are not read as one
                writer.write(whole[cut:])
                assert answers(await reader.read()) == 2, cut
                writer.close()
            sent = [json.loads(seen.body)["messages"] for seen in upstream.seen]
            assert sent == [large["messages"], CHAT["messages"]] * 7

    run(talk())


def test_a_large_body_that_stops_coming_is_a_408(tmp_path: Path) -> None:
    request = post({**CHAT, "messages": [{"role": "user", "content": "x" * 300_000}]})
    assert status(exchange(tmp_path, request[:200_000], body=10**6)) == 408
