"""The upstream side: what backends do wrong, and what a caller then gets. Every case leaves one record that says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.store.records import Record
from tests.support.gateway import CHAT, KEY, OTHER_KEY, STREAM, config, post, serving
from tests.support.running import run, until
from tests.support.upstream import (
    ANSWER,
    DONE_FRAME,
    FRAMES,
    LAST_CHUNK,
    STREAM_HEAD,
    USAGE_FRAME,
    Script,
    Talk,
    Upstream,
    chunk,
    hangs,
    says,
    says_and_closes,
    stream,
    unary,
)

LIMITS = {"connect_s": 0.5, "first_byte_s": 0.2, "idle_s": 0.2, "total_s": 2.0, "answer": 100_000}


def talk(
    tmp_path: Path, scripts: list[Script], request: dict[str, Any] | bytes = CHAT, **options: Any
) -> tuple[bytes, list[Record], Upstream]:
    """One request through a gateway to one scripted endpoint: the answer, the records, the upstream."""

    async def main() -> tuple[bytes, list[Record], Upstream]:
        async with Upstream(scripts) as upstream:
            limits = {**LIMITS, **options.pop("limits", {})}
            async with serving(config({"b": [upstream.url]}, limits=limits, **options), tmp_path) as gateway:
                answer = await gateway.raw(post(request))
                await until(lambda: gateway.gw.in_flight == 0, "requests end")
                assert gateway.gw.backends["b"].endpoints[0].view.outstanding == 0
                return answer, gateway.records(), upstream

    return run(main())


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def body(answer: bytes) -> bytes:
    """The body of the one answer in `answer`, its chunks joined."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head:
        return rest
    out = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        out, rest = out + rest[:length], rest[length + 2 :]
        if length == 0:
            break
    return out


def error(answer: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(body(answer))["error"]
    return found


# -- well-behaved, in every framing

FRAMINGS: dict[str, Script] = {
    "a length": says(unary()),
    "chunks": says(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        + b"".join(chunk(ANSWER[i : i + 7]) for i in range(0, len(ANSWER), 7))
        + b"0\r\nx-trailer: ignored\r\n\r\n"
    ),
    "no length": says_and_closes(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + ANSWER),
    "HTTP/1.0": says_and_closes(b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + ANSWER),
    "interim answers first": says(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\ncontent-length: 3\r\n\r\n" + unary()
    ),
    "connection: close": says_and_closes(unary(headers=b"connection: close\r\n")),
}


@pytest.mark.parametrize("name", FRAMINGS)
def test_an_answer_arrives_whole_however_it_was_framed(tmp_path: Path, name: str) -> None:
    answer, records, _ = talk(tmp_path, [FRAMINGS[name]])
    assert (status(answer), body(answer)) == (200, ANSWER)
    assert [(r.outcome, r.code, r.input_tokens, r.output_tokens) for r in records] == [("answered", "ok", 5, 1)]


def test_every_cut_of_an_answer_in_two_is_the_same_answer(tmp_path: Path) -> None:
    whole = unary()

    def cut(at: int) -> Script:
        async def script(wire: Talk) -> None:
            await wire.send(whole[:at])
            await asyncio.sleep(0)
            await wire.send(whole[at:])

        return script

    async def main() -> None:
        async with (
            Upstream([cut(at) for at in range(1, len(whole))]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            for _ in range(1, len(whole)):
                assert body(await gateway.raw(post(CHAT))) == ANSWER

    run(main())


@pytest.mark.parametrize("asks", [True, False])
def test_every_cut_of_a_stream_in_two_is_the_same_stream(tmp_path: Path, asks: bool) -> None:
    whole = stream([*FRAMES, USAGE_FRAME, DONE_FRAME])
    expected = b"".join([*FRAMES, *([USAGE_FRAME] if asks else []), DONE_FRAME])
    request = {**STREAM, "stream_options": {"include_usage": True}} if asks else STREAM

    def cut(at: int) -> Script:
        async def script(wire: Talk) -> None:
            await wire.send(whole[:at])
            await asyncio.sleep(0)
            await wire.send(whole[at:])

        return script

    async def main() -> list[Record]:
        async with (
            Upstream([cut(at) for at in range(1, len(whole))]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            for at in range(1, len(whole)):
                assert body(await gateway.raw(post(request))) == expected, at
            return gateway.records()

    records = run(main())
    assert {(r.outcome, r.input_tokens, r.output_tokens) for r in records} == {("answered", 5, 2)}


# -- before the first byte: tried again, or told


def test_a_backend_that_refuses_connections_is_a_502(tmp_path: Path) -> None:
    async def main() -> tuple[bytes, list[Record]]:
        async with Upstream([says(unary())]) as upstream:
            url = upstream.url
        async with serving(config({"b": [url]}, limits=LIMITS), tmp_path) as gateway:
            return await gateway.raw(post(CHAT)), gateway.records()

    answer, records = run(main())
    assert (status(answer), error(answer)["code"]) == (502, "connect_failed")
    assert [attempt.reason for attempt in records[0].attempts] == ["first", "retry"]
    assert records[0].outcome == "failed"


MOVED = unary(status="302 Found", headers=b"location: http://127.0.0.1:1/\r\n")
FULL = unary(b"later", status="503 Service Unavailable", headers=b"retry-after: 7\r\n")
NOT_FOUND = unary(b'{"error":{"message":"try secret-model"}}', status="404 Not Found")

BROKEN: dict[str, tuple[Script, int, str]] = {
    "says nothing and closes": (says_and_closes(b""), 502, "connect_failed"),
    "answers half": (says_and_closes(unary()[:-10]), 502, "upstream_protocol"),
    "closes after the headers": (says_and_closes(unary().partition(b"{")[0]), 502, "upstream_protocol"),
    "speaks no HTTP": (says(b"SSH-2.0-OpenSSH_9.2\r\n"), 502, "upstream_protocol"),
    "sends both framings": (
        says(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        502,
        "upstream_protocol",
    ),
    "sends endless headers": (says(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 70_000), 502, "upstream_protocol"),
    "switches protocols": (
        says(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
        502,
        "upstream_protocol",
    ),
    "redirects": (says(MOVED), 502, "upstream_protocol"),
    "answers too much": (says(unary(b"[" + b"1," * 60_000 + b"1]")), 502, "upstream_protocol"),
    "never answers": (hangs(), 504, "upstream_timeout"),
    "stalls in its answer": (hangs(unary()[:-10]), 504, "upstream_timeout"),
    "fails": (says(unary(b"boom", status="500 Internal Server Error")), 502, "upstream_failed"),
    "is full": (says(FULL), 503, "upstream_busy"),
    "does not know our model": (says(NOT_FOUND), 502, "upstream_failed"),
    "does not take our key": (says(unary(b"{}", status="401 Unauthorized")), 502, "upstream_failed"),
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("name", BROKEN)
def test_a_backend_that_breaks_before_its_answer_is_our_error_and_never_its_words(
    tmp_path: Path, name: str, streamed: bool
) -> None:
    script, expected_status, expected_code = BROKEN[name]
    answer, records, _ = talk(tmp_path, [script], STREAM if streamed else CHAT)
    assert (status(answer), error(answer)["code"]) == (expected_status, expected_code)
    assert b"secret-model" not in answer
    assert b"boom" not in answer
    assert [(r.outcome, r.code) for r in records] == [("failed", expected_code)]
    if name == "is full":
        assert b"\r\nretry-after: 7\r\n" in answer


@pytest.mark.parametrize("name", ["says nothing and closes", "answers half", "fails"])
def test_a_backend_that_fails_once_and_recovers_is_retried_unseen(tmp_path: Path, name: str) -> None:
    answer, records, upstream = talk(tmp_path, [BROKEN[name][0], says(unary())])
    assert (status(answer), body(answer)) == (200, ANSWER)
    assert [attempt.reason for attempt in records[0].attempts] == ["first", "retry"]
    assert len(upstream.seen) == 2


def test_a_refusal_that_is_the_callers_passes_as_the_backend_sent_it(tmp_path: Path) -> None:
    said = b'{"error":{"message":"temperature must be at most 2","param":"temperature","code":400}}'
    answer, records, upstream = talk(tmp_path, [says(unary(said, status="400 Bad Request"))])
    assert (status(answer), body(answer)) == (400, said)
    assert b"\r\nx-should-retry: false\r\n" in answer
    assert len(upstream.seen) == 1
    assert [(r.outcome, r.code) for r in records] == [("refused", "upstream_rejected")]


def test_a_kept_alive_connection_closed_in_silence_costs_the_caller_nothing(tmp_path: Path) -> None:
    async def main() -> list[Record]:
        async with (
            Upstream([says_and_closes(unary()), says(unary())]) as upstream,
            serving(config({"b": [upstream.url]}, retries={"attempts": 1, "share": 0.0}), tmp_path) as gateway,
        ):
            pool = gateway.gw.backends["b"].endpoints[0].pool
            assert body(await gateway.raw(post(CHAT))) == ANSWER
            await until(lambda: all(c.closed for c in pool._idle), "the gateway sees the close")
            assert body(await gateway.raw(post(CHAT))) == ANSWER
            return gateway.records()

    assert [r.outcome for r in run(main())] == ["answered", "answered"]


def test_a_reused_connection_that_dies_before_its_first_byte_is_tried_once_more_on_a_fresh_one(tmp_path: Path) -> None:
    async def main() -> list[Record]:
        async with (
            Upstream([says(unary()), says_and_closes(b""), says(unary())]) as upstream,
            serving(config({"b": [upstream.url]}, retries={"attempts": 1, "share": 0.0}), tmp_path) as gateway,
        ):
            for _ in range(2):
                assert body(await gateway.raw(post(CHAT))) == ANSWER
            assert [seen.connection for seen in upstream.seen] == [1, 1, 2]
            return gateway.records()

    records = run(main())
    assert [attempt.reason for attempt in records[1].attempts] == ["first", "fresh_connection"]


def test_a_fallback_answers_when_the_first_backend_cannot(tmp_path: Path) -> None:
    models: dict[str, dict[str, Any]] = {
        "m": {"backend": "a", "served_model": "small", "fallback": ["n"]},
        "n": {"backend": "b", "served_model": "large"},
    }

    async def main() -> None:
        async with (
            Upstream([says(unary(b"no", status="500 Internal Server Error"))]) as first,
            Upstream([says(unary())]) as second,
            serving(config({"a": [first.url], "b": [second.url]}, models, limits=LIMITS), tmp_path) as gateway,
        ):
            assert body(await gateway.raw(post(CHAT))) == ANSWER
            record = gateway.records()[0]
            assert (record.backend, record.served_model) == ("b", "large")
            assert [(a.backend, a.reason) for a in record.attempts] == [
                ("a", "first"),
                ("a", "retry"),
                ("b", "fallback"),
            ]
            assert json.loads(first.seen[0].body)["model"] == "small"
            assert json.loads(second.seen[0].body)["model"] == "large"

    run(main())


def test_an_endpoint_that_keeps_failing_is_left_alone_and_the_other_one_serves(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream([says_and_closes(b"")]) as bad,
            Upstream([says(unary())]) as good,
            serving(config({"b": [bad.url, good.url]}, limits=LIMITS), tmp_path) as gateway,
        ):
            for number in range(40):
                request = {**CHAT, "messages": [{"role": "user", "content": str(number)}]}
                assert body(await gateway.raw(post(request))) == ANSWER
            assert gateway.gw.backends["b"].endpoints[0].health.state == "open"
            assert len(bad.seen) < 12

    run(main())


# -- after the first byte: told in band, never tried again

BREAKS: dict[str, Callable[[bytes], Script]] = {
    "closes": says_and_closes,
    "sends a bad chunk": lambda data: says(data + b"zz\r\n"),
    "stalls": hangs,
}


@pytest.mark.parametrize("half", [b"", b'data: {"choices":[{"delta":{"content":"ha'])
@pytest.mark.parametrize("name", BREAKS)
def test_a_stream_that_breaks_ends_with_an_error_frame_after_the_last_whole_one(
    tmp_path: Path, name: str, half: bytes
) -> None:
    sent = STREAM_HEAD + b"".join(map(chunk, FRAMES[:2])) + (chunk(half) if half else b"")
    answer, records, upstream = talk(tmp_path, [BREAKS[name](sent)], STREAM)
    frames = body(answer)
    assert status(answer) == 200
    assert frames.startswith(b"".join(FRAMES[:2]) + b'data: {"error":')
    assert frames.endswith(b"}\n\n")
    assert answer.endswith(LAST_CHUNK)
    assert half not in frames or not half
    assert len(upstream.seen) == 1
    assert records[0].outcome == "failed"
    assert records[0].code in ("stream_broken", "upstream_timeout")


def test_a_huge_frame_and_bytes_that_are_no_utf_8_pass_as_they_came(tmp_path: Path) -> None:
    frames = [b"data: " + b"x" * 3_000_000 + b"\n\n", b"data: \xff\xfe\x80\n\n", DONE_FRAME]
    answer, records, _ = talk(tmp_path, [says(stream(frames))], STREAM)
    assert body(answer) == b"".join(frames)
    assert records[0].outcome == "answered"


def test_a_stream_longer_than_the_total_limit_ends_in_band(tmp_path: Path) -> None:
    async def drips(wire: Talk) -> None:
        await wire.send(STREAM_HEAD)
        while not wire.writer.is_closing():
            await wire.send(chunk(FRAMES[1]))
            await asyncio.sleep(0.01)

    answer, records, _ = talk(tmp_path, [drips], STREAM, limits={"total_s": 0.3})
    assert error_frame(answer)["code"] == "upstream_timeout"
    assert records[0].code == "upstream_timeout"


def error_frame(answer: bytes) -> dict[str, Any]:
    last = [line for line in body(answer).split(b"\n\n") if line][-1]
    found: dict[str, Any] = json.loads(last.removeprefix(b"data: "))["error"]
    return found


# -- the caller leaves


@pytest.mark.parametrize("request_", [CHAT, STREAM], ids=["unary", "streamed"])
@pytest.mark.parametrize("sent", [b"", STREAM_HEAD + chunk(FRAMES[0])], ids=["before the answer", "within it"])
def test_a_caller_that_leaves_cancels_the_backend_at_once(
    tmp_path: Path, request_: dict[str, Any], sent: bytes
) -> None:
    if sent and request_ is CHAT:
        sent = unary()[:-5]

    async def main() -> list[Record]:
        async with (
            Upstream([hangs(sent)]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(post(request_))
            await upstream.arrived.wait()
            writer.close()
            await upstream.aborted.wait()
            await until(lambda: gateway.gw.in_flight == 0, "the request ends")
            assert gateway.gw.backends["b"].endpoints[0].view.outstanding == 0
            return gateway.records()

    records = run(main())
    assert [(r.outcome, r.code) for r in records] == [("cancelled", "cancelled")]


def test_a_reader_that_stalls_makes_no_memory_grow_and_gets_all_of_it_when_it_goes_on(tmp_path: Path) -> None:
    frame = b"data: " + b"x" * 65_000 + b"\n\n"
    count = 480  # 30 MB

    sent = 0

    async def floods(wire: Talk) -> None:
        nonlocal sent
        await wire.send(STREAM_HEAD)
        for _ in range(count):
            await wire.send(chunk(frame))
            sent += 1
        await wire.send(chunk(DONE_FRAME) + LAST_CHUNK)

    async def main() -> None:
        async with (
            Upstream([floods]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=2**16)
            writer.write(post(STREAM))
            await reader.readuntil(b"\r\n\r\n")
            before = -1
            while sent != before:  # until nothing moves any more
                before = sent
                await asyncio.sleep(0.1)
            assert sent < count / 2, "the gateway took in what its caller did not read"
            (connection,) = gateway.gw.connections
            assert connection.transport.get_write_buffer_size() < 2_000_000
            got = await reader.read(-1)
            assert len(got) > count * len(frame)
            assert got.endswith(LAST_CHUNK)
            writer.close()

    run(main())


# -- what goes up


def test_what_a_backend_is_sent_is_the_callers_body_with_our_names_and_nothing_of_their_headers(tmp_path: Path) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    request = {**STREAM, "top_k": 3, "metadata": {"a": [1, 2.50]}, "cache_salt": "mine"}

    async def main() -> tuple[list[Record], Any]:
        async with (
            Upstream([says(stream([*FRAMES, DONE_FRAME]))]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            extra = (
                b"traceparent: %b\r\nbaggage: tenant=acme\r\ncookie: a=b\r\nx-forwarded-for: 1.2.3.4\r\n"
                % trace.encode()
            )
            await gateway.raw(post(json.dumps(request).replace("2.5]", "2.50]").encode(), extra=extra))
            return gateway.records(), upstream.seen[0]

    records, seen = run(main())
    sent = json.loads(seen.body)
    assert sent.pop("model") == "served"
    assert sent.pop("stream_options") == {"include_usage": True}
    assert sent.pop("cache_salt") not in ("mine", "")
    expected = {key: value for key, value in request.items() if key not in ("model", "cache_salt")}
    assert sent == expected
    assert b'"a": [1, 2.50]' in seen.body  # copied, never encoded again
    assert seen.header("traceparent") == trace
    assert seen.header("x-request-id") == records[0].id
    for name in ("authorization", "baggage", "cookie", "x-forwarded-for"):
        assert seen.header(name) is None
    assert KEY.encode() not in seen.head


def test_two_tenants_never_share_a_cache_salt_and_one_tenant_always_does(tmp_path: Path) -> None:
    models = {"other/m": {"backend": "b"}}

    async def main() -> list[str]:
        async with (
            Upstream([says(unary())]) as upstream,
            serving(config({"b": [upstream.url]}, models), tmp_path) as gateway,
        ):
            for key in (KEY, KEY, OTHER_KEY):
                await gateway.raw(post({**CHAT, "model": "other/m"}, key=key))
            return [json.loads(seen.body)["cache_salt"] for seen in upstream.seen]

    first, again, other = run(main())
    assert first == again != other


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"kv_transfer_params": {}}, "kv_transfer_params"),
        ({"chat_template": "x"}, "chat_template"),
        ({"model": 5}, "model"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_a_field_that_must_not_pass_is_a_400_that_names_it_and_nothing_is_sent(
    tmp_path: Path, change: dict[str, Any], param: str
) -> None:
    answer, records, upstream = talk(tmp_path, [says(unary())], {**CHAT, **change})
    assert (status(answer), error(answer)["param"]) == (400, param)
    assert upstream.seen == []
    assert [(r.outcome, r.status) for r in records] == [("refused", 400)]


Cell = tuple[bytes, int]
JSONS: dict[str, Cell] = {
    "empty": (b"", 400),
    "no JSON": (b"{", 400),
    "truncated": (b'{"model":"m","messages":[{"role":"user"', 400),
    "a repeated field": (b'{"model":"m","messages":[{}],"model":"n"}', 400),
    "nested deeply": (b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    "an array": (b"[1]", 400),
    "no messages": (b'{"model":"m"}', 400),
    "an unknown model": (b'{"model":"nope","messages":[{}]}', 404),
}


@pytest.mark.parametrize("name", JSONS)
def test_a_body_that_cannot_be_served_is_refused_before_anything_is_sent(tmp_path: Path, name: str) -> None:
    data, expected = JSONS[name]
    answer, records, upstream = talk(tmp_path, [says(unary())], data)
    assert status(answer) == expected
    assert upstream.seen == []
    assert [r.outcome for r in records] == ["refused"]


def test_an_unknown_model_and_a_forbidden_one_are_the_same_answer_but_for_the_name(tmp_path: Path) -> None:
    async def main() -> tuple[bytes, bytes]:
        async with (
            Upstream([says(unary())]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            forbidden = await gateway.raw(post(CHAT, key=OTHER_KEY))
            unknown = await gateway.raw(post({**CHAT, "model": "x"}, key=OTHER_KEY))
            return forbidden, unknown

    forbidden, unknown = run(main())
    assert (status(forbidden), status(unknown)) == (404, 404)
    assert body(forbidden).replace(b"model m ", b"model x ") == body(unknown)


def test_a_conversation_stays_on_its_endpoint_and_new_ones_spread(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream([says(unary())]) as one,
            Upstream([says(unary())]) as two,
            serving(config({"b": [one.url, two.url]}), tmp_path) as gateway,
        ):
            for number in range(12):
                turns = [{"role": "user", "content": f"conversation {number}"}]
                before = len(one.seen), len(two.seen)
                for _ in range(3):
                    await gateway.raw(post({"model": "m", "messages": turns}))
                    turns = [*turns, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "and?"}]
                moved = len(one.seen) - before[0], len(two.seen) - before[1]
                assert sorted(moved) == [0, 3]
            assert one.seen
            assert two.seen

    run(main())
