"""What a backend is sent, what is refused before anything is sent, and which endpoint it is sent to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.config.model_telemetry import Otlp, Telemetry
from gateway.store import record_spans
from gateway.store.records import Record
from gateway.wire import trace_ids
from tests.support.gateway import CHAT, KEY, OTHER_KEY, STREAM, config, post, serving
from tests.support.running import run
from tests.support.talking import body, error, status, talk
from tests.support.upstream import DONE_FRAME, FRAMES, Upstream, says, stream, unary


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


def test_where_spans_are_sent_a_backend_is_told_its_attempts_span(tmp_path: Path) -> None:
    parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"

    async def main() -> tuple[list[Record], list[Any]]:
        broken, well = (says(unary(b"no", status="500 Internal Server Error")), says(unary()))
        async with Upstream([broken, well, well]) as upstream:
            found = config({"b": [upstream.url]})
            otlp = Otlp(endpoint="http://127.0.0.1:1", sample=0.5)
            found = msgspec.structs.replace(found, telemetry=Telemetry(otlp=otlp))
            async with serving(found, tmp_path) as gateway:
                extra = b"traceparent: %b\r\ntracestate: a=b\r\nbaggage: tenant=acme\r\n" % parent
                await gateway.raw(post(CHAT, extra=extra))
                await gateway.raw(post(CHAT))
                return gateway.records(), upstream.seen

    (first, second), seen = run(main())
    server, *attempts = record_spans.spans(first)
    assert server.parent_id == parent.decode()[36:52]
    told = [f"00-{each.trace_id}-{each.span_id}-00" for each in attempts]  # the caller's flag
    assert [each.header("traceparent") for each in seen[:2]] == told
    assert len(set(told)) == 2
    _, attempt = record_spans.spans(second)
    flag = "01" if record_spans.wanted(second, trace_ids.below(0.5), errors=True) else "00"
    assert seen[2].header("traceparent") == f"00-{attempt.trace_id}-{attempt.span_id}-{flag}"
    for name in ("baggage", "tracestate"):
        assert all(each.header(name) is None for each in seen)


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
            for number in range(24):  # by the ports: all on one endpoint once in eight million runs
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
