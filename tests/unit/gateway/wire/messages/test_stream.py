"""A streamed answer of chat completions as the events of an Anthropic message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire import sse
from gateway.wire.messages import codec as messages
from gateway.wire.messages import from_chat as chat_to_messages
from gateway.wire.messages import stream as messages_stream
from gateway.wire.relay import MAX_HELD_BYTES
from gateway.wire.usage import Usage
from tests.support.anthropic_events import accumulate, check_order
from tests.support.wire_samples import SAMPLES

CALL = messages.parse(b'{"model":"alias","max_tokens":5,"stream":true,"messages":[{"role":"user","content":"hi"}]}')
DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish, **more}
    return frame({"id": "c1", "object": "chat.completion.chunk", "model": "served", "choices": [choice]})


def frame(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def piece(index: int, arguments: str = "", name: str | None = None, id_: str | None = None) -> dict[str, Any]:
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    return {"index": index, "function": function, **({"id": id_} if id_ else {})}


def calls(*pieces: dict[str, Any]) -> bytes:
    return chunk({"tool_calls": list(pieces)})


USAGE = frame({"id": "c1", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}})
HEAD = chunk({"role": "assistant", "content": ""})


def translated(stream: bytes) -> tuple[bytes, messages_stream.MessagesStream]:
    translator = messages_stream.of(CALL)
    out = translator.feed(stream)
    return out + translator.finish(), translator


def message(stream: bytes) -> Any:
    out, translator = translated(stream)
    assert not translator.failed, out
    check_order(out)
    return accumulate(out)


def test_a_text_comes_as_the_events_of_one_block() -> None:
    out, translator = translated(HEAD + chunk({"content": 'he"l'}) + chunk({"content": "lo\n"}, "stop") + USAGE + DONE)
    found = [json.loads(data) for data in sse.payloads(out)]
    names = [line.removeprefix("event: ") for line in out.decode().splitlines() if line.startswith("event: ")]
    assert [event["type"] for event in found] == names
    assert found[0]["message"]["id"] == "c1"
    assert found[0]["message"]["model"] == "served"
    assert found[0]["message"]["content"] == []
    assert found[1:5] == [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 'he"l'}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo\n"}},
        {"type": "content_block_stop", "index": 0},
    ]
    assert found[5]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert (found[5]["usage"]["input_tokens"], found[5]["usage"]["output_tokens"]) == (9, 4)
    assert found[6:] == [{"type": "message_stop"}]
    assert translator.usage == Usage(9, 0, 4, 0)


def test_the_end_waits_until_the_backend_has_ended() -> None:
    translator = messages_stream.of(CALL)
    out = translator.feed(HEAD + chunk({"content": "x"}, "stop") + USAGE)
    assert not translator.complete
    assert b"message_delta" not in out
    assert translator.feed(DONE) == b""
    assert translator.complete
    assert translator.finish().endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


def test_thinking_text_and_calls_are_blocks_of_their_own() -> None:
    stream = HEAD + chunk({"reasoning": "h"}) + chunk({"reasoning_content": "m"}) + chunk({"content": "so"})
    stream += calls(piece(0, "", "weather", "t1")) + calls(piece(0, '{"a":')) + calls(piece(0, "1}"))
    stream += calls(piece(1, "", "now", "t2"), piece(1, "{}")) + chunk({}, "tool_calls") + DONE
    assert message(stream)["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "so"},
        {"type": "tool_use", "id": "t1", "name": "weather", "input": {"a": 1}},
        {"type": "tool_use", "id": "t2", "name": "now", "input": {}},
    ]


def test_calls_without_a_count_are_told_apart_by_their_ids() -> None:
    stream = calls(piece(0, "{}", "a", "t1")) + calls(piece(0, "{}", "b", "t2")) + chunk({}, "tool_calls") + DONE
    assert [(block["id"], block["name"]) for block in message(stream)["content"]] == [("t1", "a"), ("t2", "b")]


def test_an_id_that_is_repeated_in_every_piece_is_one_call() -> None:
    stream = calls(piece(0, '{"a"', "a", "t1")) + calls(piece(0, ":1}", "a", "t1")) + chunk({}, "stop") + DONE
    found = message(stream)
    assert found["content"] == [{"type": "tool_use", "id": "t1", "name": "a", "input": {"a": 1}}]
    assert found["stop_reason"] == "tool_use"


def test_a_call_without_an_id_gets_one() -> None:
    stream = calls(piece(0, "{}", "a")) + calls(piece(1, "{}", "b")) + chunk({}, "tool_calls") + DONE
    assert [block["id"] for block in message(stream)["content"]] == ["c1_0", "c1_1"]


def test_text_within_a_call_is_told_behind_it() -> None:
    stream = calls(piece(0, '{"a"', "a", "t1")) + chunk({"content": "by"}) + calls(piece(0, ":1}"))
    stream += chunk({"content": " the way"}) + chunk({}, "tool_calls") + DONE
    assert message(stream)["content"] == [
        {"type": "tool_use", "id": "t1", "name": "a", "input": {"a": 1}},
        {"type": "text", "text": "by the way"},
    ]


@pytest.mark.parametrize(
    "second",
    [piece(1, "{}"), piece(1, "{}", None, "t2"), piece(0, "", "a", "t1")],
    ids=["no name", "no name but an id", "an earlier call"],
)
def test_pieces_of_calls_that_cannot_be_told_apart_end_in_an_error(second: dict[str, Any]) -> None:
    stream = calls(piece(0, "{", "a", "t1")) + calls(piece(5, "{}", "b", "t5")) + calls(second) + DONE
    out, translator = translated(stream)
    assert translator.failed
    assert out.count(b"event: error") == 1
    assert b"message_stop" not in out


def test_other_choices_are_not_told() -> None:
    stream = chunk({"content": "a"}, index=1) + chunk({"content": "b"}) + chunk({}, "stop") + DONE
    assert message(stream)["content"] == [{"type": "text", "text": "b"}]


@pytest.mark.parametrize(("finish", "stop"), [("length", None), ("stop", "END"), ("content_filter", None)])
def test_a_stream_ends_for_the_reason_its_whole_answer_would(finish: str, stop: str | None) -> None:
    found = message(chunk({"content": "x"}, finish, stop_reason=stop) + DONE)
    whole = chat_to_messages.ending(finish, stop, [])
    assert {name: found[name] for name in whole} == whole


def test_a_clean_end_without_done_is_an_end_if_the_answer_was_finished() -> None:
    assert message(chunk({"content": "x"}, "stop"))["stop_reason"] == "end_turn"
    assert message(chunk({"content": "x"}, "stop").removesuffix(b"\n\n"))["content"] == [{"type": "text", "text": "x"}]


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        HEAD,
        chunk({"content": "x"}),
        chunk({"content": "x"}) + DONE,
        chunk({"content": "x"}) + b'data: {"choices":[{"delta":{"content":"y',
        chunk({"content": "x"}) + b"data: not json\n\n" + DONE,
        chunk({"content": "x"}) + frame({"choices": [{"delta": {"content": ["parts"]}}]}) + DONE,
        chunk({"content": "x"}) + frame({"choices": 5}) + DONE,
        chunk({"content": "x"}) + b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n' + DONE,
    ],
)
def test_a_half_or_unreadable_stream_ends_with_an_error_and_never_with_a_stop(stream: bytes) -> None:
    out, translator = translated(stream)
    assert translator.failed
    assert b"message_stop" not in out
    *_, event, data, _, _ = out.split(b"\n")
    assert event == b"event: error"
    assert json.loads(data.removeprefix(b"data: "))["error"]["details"] == {"error_code": "stream_broken"}


def test_an_error_the_backend_tells_in_band_keeps_its_words() -> None:
    out, translator = translated(HEAD + frame({"error": {"message": "out of memory", "code": 500}}) + DONE)
    assert translator.failed
    assert out.endswith(b"\n\n")
    assert json.loads(list(sse.payloads(out))[-1])["error"]["message"] == "out of memory"
    assert translator.feed(chunk({"content": "more"})) == b""


def test_comments_and_blank_lines_are_nothing() -> None:
    stream = b": ping\n\n" + HEAD + b"\n\n" + chunk({"content": "x"}, "stop") + b"\n: bye\n\n" + DONE
    assert message(stream)["content"] == [{"type": "text", "text": "x"}]


def test_a_frame_longer_than_is_held_ends_in_an_error_in_every_cut() -> None:
    long = chunk({"content": "x" * MAX_HELD_BYTES})
    whole, _ = translated(long + DONE)
    translator = messages_stream.of(CALL)
    parts = [translator.feed(long[: MAX_HELD_BYTES + 20]), translator.feed(long[MAX_HELD_BYTES + 20 :] + DONE)]
    assert b"".join(parts) + translator.finish() == whole
    assert b"more than" in whole


RECORDED = [
    *(f"vllm/chat_stream{name}" for name in ("_usage", "_tool", "_continuous_usage", "_n_logprobs", "")),
    *(f"llama_cpp/chat_stream{name}" for name in ("_usage", "_tool", "_continuous_usage", "_n_logprobs", "")),
]


@pytest.mark.parametrize("sample", RECORDED)
def test_what_real_servers_streamed_is_whole(sample: str) -> None:
    sent = (SAMPLES / f"{sample}.sse").read_bytes()
    frames = [json.loads(data) for data in sse.payloads(sent) if data != sse.DONE]
    said = [each["delta"].get("content") or "" for one in frames for each in one["choices"] if each["index"] == 0]
    out, translator = translated(sent)
    check_order(out)
    assert not translator.failed
    assert (translator.usage is None) == (sample.endswith("chat_stream"))
    deltas = [event["delta"] for event in map(json.loads, sse.payloads(out)) if "delta" in event]
    assert "".join(delta.get("text", "") for delta in deltas) == "".join(said)
    if sample == "vllm/chat_stream_tool":
        assert {delta["type"] for delta in deltas[:-1]} == {"input_json_delta"}


@pytest.mark.parametrize("sample", RECORDED)
def test_every_cut_of_a_recorded_stream_gives_the_same_events(sample: str) -> None:
    sent = (SAMPLES / f"{sample}.sse").read_bytes()
    whole, _ = translated(sent)
    for at in range(0, len(sent), 11):
        translator = messages_stream.of(CALL)
        assert translator.feed(sent[:at]) + translator.feed(sent[at:]) + translator.finish() == whole
    translator = messages_stream.of(CALL)
    assert b"".join(translator.feed(sent[at : at + 1]) for at in range(len(sent))) + translator.finish() == whole
