"""Streamed chat answers, edited: what real servers sent, and what backends may do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from gateway.errors import UpstreamProtocol
from gateway.wire import chat, chat_editor, sse
from gateway.wire.chat_editor import ChatEditor
from gateway.wire.edits import OUTPUT, TOOL_CALL, Channel
from gateway.wire.errors import OPENAI
from tests.support.choices import Read, chat_frame, edited, frame, sdk, streamed
from tests.support.outlets import ScriptedOutlet
from tests.support.wire_samples import SAMPLES

DONE = b"data: [DONE]\n\n"
ROLE = chat_frame({"role": "assistant", "content": ""})
STOP = chat_frame({}, "stop")


class Room:
    """An editor and its outlets by kind; `waits` and `blocks` name the kinds, or tools, whose outlets do."""

    def __init__(self, n: int = 1, *, waits: str = "", blocks: str = "") -> None:
        self.opened: list[Channel] = []
        self.outlets: list[ScriptedOutlet] = []
        self._waits = waits.split()
        self._blocks = blocks.split()
        body = {"model": "m", "n": n, "stream": True, "messages": [{}]}
        self.editor = ChatEditor(chat.parse(json.dumps(body).encode()), self._open)

    def _open(self, channel: Channel) -> ScriptedOutlet:
        names = {channel.kind, channel.tool}
        outlet = ScriptedOutlet(
            waits=not names.isdisjoint(self._waits), blocked=not names.isdisjoint(self._blocks), sign="✗"
        )
        self.opened.append(channel)
        self.outlets.append(outlet)
        return outlet

    def read(self, *frames: bytes) -> Read:
        return streamed(edited(self.editor, frames))[0]


def call_frame(index: int | None, arguments: str | None = None, **more: Any) -> bytes:
    name = more.pop("name", None)
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    call = {"function": function, **more} if index is None else {"index": index, "function": function, **more}
    return chat_frame({"tool_calls": [call]})


@pytest.mark.parametrize("server", ["vllm", "llama_cpp"])
@pytest.mark.parametrize(
    "name",
    ["chat_stream", "chat_stream_usage", "chat_stream_tool", "chat_stream_n_logprobs", "chat_stream_continuous_usage"],
)
def test_what_real_servers_sent_says_the_same_afterwards_without_logprobs(server: str, name: str) -> None:
    stream = (SAMPLES / server / f"{name}.sse").read_bytes()
    sent = edited(Room(2).editor, [stream])
    assert streamed(sent) == streamed(stream)
    for chunk in (json.loads(each) for each in sse.payloads(sent) if each != sse.DONE):
        assert all(choice["logprobs"] is None for choice in chunk["choices"])
        ChatCompletionChunk.model_validate(chunk, strict=True)
    usages = [json.loads(each).get("usage") for each in sse.payloads(stream) if each != sse.DONE]
    assert [json.loads(each).get("usage") for each in sse.payloads(sent) if each != sse.DONE][-1] == usages[-1]
    assert sent.endswith(DONE)


class Unhurried(ChatEditor):
    """Edits each frame as if it were a rare one."""

    __slots__ = ()

    def at_once(self, frame: bytes) -> bytes | None:
        return None


@pytest.mark.parametrize("blocks", ["", "content"])
@pytest.mark.parametrize(
    "more", [{}, {"stop_reason": None, "token_ids": [1]}, {"index": 1}, {"logprobs": {"content": []}}]
)
def test_what_is_sent_at_once_is_what_would_have_been(blocks: str, more: dict[str, Any]) -> None:
    frames = [ROLE]
    for piece in ("one", "", " two", "\ud83d", "\ude00"):
        read = json.loads(sse.data(chat_frame({"content": piece})) or b"")
        read["choices"][0] |= more
        read |= {"usage": None} if piece == "one" else {"usage": {"total_tokens": 3}, "prompt_token_ids": [1]}
        frames.append(b"data: %b\n\n" % json.dumps(read).encode())
    frames += [STOP, DONE]
    hurried, unhurried = Room(blocks=blocks), Room(blocks=blocks)
    unhurried.editor = Unhurried(chat.parse(b'{"model":"m","stream":true,"messages":[{}]}'), unhurried._open)
    assert edited(hurried.editor, frames) == edited(unhurried.editor, frames)


def test_held_back_text_comes_in_frames_like_the_last_one() -> None:
    room = Room()
    role = json.loads(next(sse.payloads(room.editor.feed(ROLE))))
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert room.editor.feed(chat_frame({"content": "held"})) == b""
    room.outlets[0].answer()
    chunk = json.loads(next(sse.payloads(room.editor.more())))
    assert chunk["choices"] == [{"index": 0, "delta": {"content": "held"}, "logprobs": None, "finish_reason": None}]
    assert (chunk["id"], chunk["model"], chunk["created"]) == ("c1", "m", 5)


def test_the_frame_that_ends_a_choice_waits_and_all_behind_it() -> None:
    room = Room(waits="content")
    sent = room.editor.feed(ROLE + chat_frame({"content": "one|two"}) + STOP + DONE)
    assert streamed(sent)[0] == Read({"content": "one"}, [], None)
    assert room.editor.waits
    assert room.editor.finish() == b""
    room.outlets[0].answer()
    sent += room.editor.more()
    assert streamed(sent)[0] == Read({"content": "onetwo"}, [], "stop")
    assert sent.endswith(DONE)
    assert not room.editor.waits


def test_a_block_ends_the_choice_and_the_rest_of_it_is_dropped() -> None:
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'
    room = Room()
    sent = edited(room.editor, [ROLE, chat_frame({"content": "a✗b"}), chat_frame({"content": "c"}), STOP, usage, DONE])
    assert streamed(sent)[0] == Read({"content": "a"}, [], "content_filter")
    assert sent.endswith(usage + DONE)
    assert room.editor.blocked


def test_a_block_that_is_known_late_ends_the_choice_when_it_is_known() -> None:
    room = Room(2, waits="content")
    sent = room.editor.feed(chat_frame({"content": "a|b"}) + chat_frame({"content": "x|"}, index=1))
    room.outlets[0].answer(block=True)
    sent += room.editor.more()
    assert streamed(sent) == {0: Read({"content": "a"}, [], "content_filter"), 1: Read({"content": "x"}, [], None)}
    assert not room.editor.blocked
    room.outlets[1].answer(block=True)
    sent += room.editor.more() + room.editor.feed(STOP + chat_frame({}, "stop", 1) + DONE) + room.editor.finish()
    assert room.editor.blocked
    assert {read.reason for read in streamed(sent).values()} == {"content_filter"}


def test_a_text_is_judged_to_its_end_before_the_next_one_is_told() -> None:
    room = Room(waits="content")
    sent = room.editor.feed(chat_frame({"content": "a|b"}) + call_frame(0, "{}|", name="f", id="1") + STOP)
    assert streamed(sent)[0] == Read({"content": "a"}, [], None)
    room.outlets[0].answer(block=True)
    sent += room.editor.more()
    assert streamed(sent)[0] == Read({"content": "a"}, [], "content_filter")
    assert [channel.kind for channel in room.opened] == ["content"]


def test_channels_say_what_they_are() -> None:
    room = Room()
    delta = {"reasoning": "r", "content": "c", "refusal": "no"}
    for each in (
        chat_frame(delta),
        call_frame(0, "{}", name="f"),
        chat_frame({"tool_calls": [{"index": 1, "type": "custom", "custom": {"name": "g", "input": "x"}}]}),
        chat_frame({"function_call": {"name": "old", "arguments": "{}"}}),
    ):
        room.editor.feed(each)
    assert [(each.kind, each.phase, each.number, each.is_json, each.tool) for each in room.opened] == [
        ("reasoning", OUTPUT, 0, False, ""),
        ("content", OUTPUT, 0, False, ""),
        ("refusal", OUTPUT, 0, False, ""),
        ("arguments", TOOL_CALL, 0, True, "f"),
        ("arguments", TOOL_CALL, 1, False, "g"),
        ("arguments", TOOL_CALL, 0, True, "old"),
    ]


def test_custom_tools_and_function_calls_are_told_in_their_form() -> None:
    custom = {"index": 0, "id": "1", "type": "custom", "custom": {"name": "g", "input": "x"}}
    sent = edited(
        Room().editor,
        [chat_frame({"tool_calls": [custom]}), chat_frame({"function_call": {"name": "f", "arguments": "{}"}})],
    )
    deltas = [json.loads(each)["choices"][0]["delta"] for each in sse.payloads(sent)]
    assert deltas == [{"tool_calls": [custom]}, {"function_call": {"name": "f", "arguments": "{}"}}]


def test_one_text_under_two_names_is_judged_once_and_a_second_text_is_not_told() -> None:
    room = Room()
    both = chat_frame({"reasoning_content": "a|", "reasoning": "another"})
    assert room.read(both).texts == {"reasoning_content": "a", "reasoning": "a"}
    assert [outlet.fed for outlet in room.outlets] == ["a|"]


def test_a_call_is_told_when_something_of_its_arguments_may_be() -> None:
    room = Room()
    assert room.editor.feed(call_frame(0, "", name="f", id="1", type="function") + call_frame(0, '{"a"')) == b""
    chunk = json.loads(next(sse.payloads(room.editor.feed(call_frame(0, ":1}|")))))
    assert chunk["choices"][0]["delta"]["tool_calls"] == [
        {"index": 0, "id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    ]


def test_a_call_without_arguments_is_told_at_its_end() -> None:
    read = Room().read(call_frame(0, name="f", id="1"), call_frame(1, "", name="g", id="2"), STOP)
    assert read == Read({}, [("f", ""), ("g", "")], "stop")


@pytest.mark.parametrize("blocks", ["f", "arguments"])
def test_a_call_that_is_blocked_is_never_told(blocks: str) -> None:
    room = Room(blocks=blocks)
    sent = edited(
        room.editor, [chat_frame({"content": "a"}), call_frame(0, "{}", name="f"), call_frame(1, "{}", name="g"), STOP]
    )
    assert streamed(sent)[0] == Read({"content": "a"}, [], "content_filter")
    assert len(room.opened) == 2


def test_a_call_that_is_blocked_without_arguments_is_never_told() -> None:
    assert Room(blocks="f").read(call_frame(0, name="f", id="1"), STOP) == Read({}, [], "content_filter")


def test_a_call_that_was_begun_and_is_blocked_ends_the_choice() -> None:
    read = Room().read(call_frame(0, '{"a"|', name="f"), call_frame(0, "✗}"), call_frame(1, "{}", name="g"), STOP)
    assert read == Read({}, [("f", '{"a"')], "content_filter")


def test_a_name_in_pieces_is_judged_whole_and_is_not_changed_afterwards() -> None:
    room = Room()
    pieces = [call_frame(0, name="get_"), call_frame(0, name="weather"), call_frame(0, "{}|"), call_frame(0, name="x")]
    assert room.read(*pieces, call_frame(0, " ", name="y"), STOP).calls == [("get_weather", "{} ")]
    assert [channel.tool for channel in room.opened] == ["get_weather"]


def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    frames = [call_frame(None, "{", name="f", id="1"), call_frame(None, "}"), call_frame(None, "[]", name="g", id="2")]
    assert Room().read(*frames, STOP).calls == [("f", "{}"), ("g", "[]")]


def test_what_comes_late_or_beside_of_a_call_is_told_once() -> None:
    extra_content = {"google": {"thought_signature": "s"}}
    sent = edited(
        Room().editor,
        [
            call_frame(0, "a|", name="f"),
            call_frame(0, "b|", id="1", extra_content=extra_content),
            call_frame(0, "c|", id="1"),
        ],
    )
    called = [json.loads(each)["choices"][0]["delta"]["tool_calls"][0] for each in sse.payloads(sent)]
    assert called[1:] == [
        {"index": 0, "id": "1", "extra_content": extra_content, "function": {"arguments": "b"}},
        {"index": 0, "function": {"arguments": "c"}},
    ]


def test_a_text_that_is_said_within_a_call_is_told_after_it() -> None:
    room = Room()
    frames = [
        chat_frame({"content": "a"}),
        call_frame(0, "{", name="f"),
        chat_frame({"content": "b"}),
        call_frame(0, "}"),
    ]
    sent = edited(room.editor, [*frames, STOP])
    assert streamed(sent)[0] == Read({"content": "a\nb"}, [("f", "{}")], "stop")
    assert sent.index(b"}}]}") < sent.index(b'"\\nb"')
    assert [(each.kind, each.number) for each in room.opened] == [("content", 0), ("arguments", 0), ("content", 1)]


def test_a_text_that_goes_on_after_another_one_begins_on_a_new_line() -> None:
    frames = [chat_frame({"reasoning": "a"}), chat_frame({"content": "b"}), chat_frame({"reasoning": "c"})]
    assert Room().read(*frames, STOP).texts == {"reasoning": "a\nc", "content": "b"}


def test_a_call_that_goes_on_after_another_one_ends_the_stream() -> None:
    sent = edited(Room().editor, [call_frame(0, "{", name="f"), call_frame(1, "{", name="g"), call_frame(0, "}"), DONE])
    assert sent.endswith(OPENAI.frame(UpstreamProtocol(chat_editor.IN_TURNS), None))


def test_a_frame_with_several_choices_and_channels_is_told_in_order() -> None:
    room = Room(2)
    several = json.loads(chat_frame({"role": "assistant", "reasoning": "r", "content": "a|b"}, "stop")[6:])
    several["choices"] += [{"index": 1, "delta": {"content": "x"}, "finish_reason": None}]
    several["usage"] = {"prompt_tokens": 1}
    sent = edited(room.editor, [b"data: %b\n\n" % json.dumps(several).encode()])
    assert streamed(sent) == {
        0: Read({"reasoning": "r", "content": "ab"}, [], "stop"),
        1: Read({"content": "x"}, [], None),
    }
    assert sent.count(b'"usage"') == 1


def test_what_stands_beside_a_text_that_is_held_back_is_told() -> None:
    sent = Room().editor.feed(chat_frame({"content": "held"}, usage={"prompt_tokens": 1}, lockgate={"cost": "0"}))
    chunk = json.loads(next(sse.payloads(sent)))
    assert (chunk["usage"], chunk["lockgate"]) == ({"prompt_tokens": 1}, {"cost": "0"})
    assert chunk["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": None}]


def test_what_stands_beside_a_blocked_choice_is_told_without_it() -> None:
    sent = Room().editor.feed(chat_frame({"content": "✗"}) + chat_frame({"content": "x"}, usage={"prompt_tokens": 1}))
    assert json.loads(list(sse.payloads(sent))[-1])["choices"] == []


def test_nothing_tells_a_text_once_more() -> None:
    choice = {
        "index": 0,
        "delta": {"content": "secret", "reasoning_details": [{"text": "secret"}], "audio": {"transcript": "secret"}},
        "text": "secret",
        "logprobs": {"content": [{"token": "secret"}]},
        "token_ids": [1],
        "finish_reason": None,
    }
    room = Room()
    sent = room.editor.feed(frame(choice, prompt_token_ids=[1], prompt_text="secret", obfuscation="xxxxxx"))
    assert sent == b""
    twice = b'data: {"choices":[{"index":0,"delta":{"content":"secret"},"delta":{"content":"a|"}}],"choices":[]}\n\n'
    assert b"secret" not in room.editor.feed(twice)
    escaped = b'data: {"choice\\u0073":[{"index":0,"delta":{"content":"secret"}}],"choices":[]}\n\n'
    assert b"secret" not in room.editor.feed(escaped)


def test_an_error_of_the_backend_passes_behind_what_is_judged() -> None:
    error = b'data: {"error":{"message":"out of memory"}}\n\n'
    sent = edited(Room().editor, [chat_frame({"content": "a|b"}), error])
    assert sent.endswith(error)
    assert streamed(sent[: -len(error)])[0] == Read({"content": "ab"}, [], None)
    with_choices = b'data: {"error":{"message":"no"},"choices":[{"index":0,"delta":{"content":"secret"}}]}\n\n'
    assert b"secret" not in Room().editor.feed(with_choices)


@pytest.mark.parametrize(
    "payload",
    [
        *(b"{", b"[]", b'"secret"', b"\xff", b'{"text":"secret"}', b'{"choices":{}}', b'{"choices":["secret"]}'),
        *(b'{"choices":[{"index":"0"}]}', b'{"choices":[{"delta":"secret"}]}'),
        b'{"choices":[{"delta":{"content":["secret"]}}]}',
        b'{"choices":[{"delta":{"content":5}}]}',
        b'{"choices":[{"delta":{"tool_calls":"secret"}}]}',
        b'{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":{"a":"secret"}}}]}}]}',
        b'{"choices":[{"delta":{"tool_calls":[{"index":"a","function":{}}]}}]}',
        b'{"choices":[{"delta":{"function_call":"secret"}}]}',
    ],
)
def test_a_frame_that_cannot_be_read_ends_the_stream_and_nothing_of_it_passes(payload: bytes) -> None:
    editor = Room().editor
    sent = edited(editor, [ROLE, b"data: %b\n\n" % payload, chat_frame({"content": "more"}), DONE])
    assert b"secret" not in sent
    assert b"more" not in sent
    assert b'"code":"upstream_protocol"' in sent
    assert isinstance(editor.failed, UpstreamProtocol)


def test_the_official_sdk_reads_an_edited_stream() -> None:
    usage = b'data: {"id":"c1","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\n'
    frames = [ROLE, chat_frame({"content": "a|b"}), call_frame(0, "{}", name="f", id="1", type="function")]
    sent = edited(Room(2).editor, [*frames, STOP, chat_frame({"content": "x✗"}, index=1), usage, DONE])
    with sdk(sent) as client, client.chat.completions.create(model="m", messages=[], stream=True) as chunks:
        told = list(chunks)
    choices = [choice for chunk in told for choice in chunk.choices]
    assert "".join(each.delta.content or "" for each in choices if each.index == 0) == "ab"
    called = [call.function for each in choices for call in each.delta.tool_calls or ()]
    assert [(call.name, call.arguments) for call in called if call] == [("f", "{}")]
    assert [each.finish_reason for each in choices if each.finish_reason] == ["stop", "content_filter"]
    assert told[-1].usage is not None
    assert told[-1].usage.total_tokens == 2
