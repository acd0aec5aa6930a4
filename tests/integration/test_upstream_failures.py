"""What backends do wrong before the first byte of their answer: it is tried again, or the caller is told. Every case
leaves one record that says so.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.store.records import Record
from tests.support.gateway import CHAT, STREAM, config, post, serving
from tests.support.running import run, until
from tests.support.talking import LIMITS, body, error, status, talk
from tests.support.upstream import ANSWER, Script, Upstream, hangs, says, says_and_closes, unary


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


def test_any_number_of_callers_asking_for_the_wrong_endpoint_leaves_the_model_in_service(tmp_path: Path) -> None:
    async def main() -> list[Record]:
        async with (
            Upstream([says(NOT_FOUND)] * 30 + [says(unary())]) as upstream,
            serving(config({"b": [upstream.url]}, limits=LIMITS), tmp_path) as gateway,
        ):
            for _ in range(30):
                answer = await gateway.raw(post(CHAT, extra=b"x-request-id: theirs\r\n"))
                assert (status(answer), error(answer)["code"]) == (400, "not_served")
                assert b"secret-model" not in answer
                assert b"\r\nx-client-request-id: theirs\r\n" in answer
            assert status(await gateway.raw(post(CHAT))) == 200
            assert len(upstream.seen) == 31
            return gateway.records()

    assert {(r.outcome, r.code) for r in run(main())[:30]} == {("refused", "not_served")}
