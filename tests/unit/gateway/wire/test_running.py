from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import chat, running
from gateway.wire.messages import codec as messages
from gateway.wire.messages import stream as messages_stream
from gateway.wire.relay import DONE_FRAME
from gateway.wire.responses import codec as responses
from gateway.wire.responses import stream as responses_stream
from gateway.wire.running import RunningRelay, Translated
from tests.support.metered import events, text_of

USAGE = {"prompt_tokens": 5, "total_tokens": 0, "completion_tokens": 0, "completion_tokens_details": None}


def frame(content: str | None, count: int, *, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    delta = {} if content is None else {"content": content}
    said = {
        "id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "served",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish}],
        "usage": {**USAGE, "completion_tokens": count}, **more,
    }  # fmt: skip
    return b"data: " + json.dumps(said, separators=(",", ":")).encode() + b"\n\n"


def last(count: int) -> bytes:
    said = {"id": "c1", "choices": [], "usage": {**USAGE, "completion_tokens": count}}
    return b"data: " + json.dumps(said, separators=(",", ":")).encode() + b"\n\n"


WORDS = [frame("", 0), *(frame(f"w{number} ", number) for number in range(1, 9)), frame(None, 8, finish="stop")]
STREAM = b"".join(WORDS) + last(8) + DONE_FRAME


def relay(*, asks: bool = False, shows: bool = False, choices: int = 1) -> RunningRelay:
    return RunningRelay(hide_usage=not asks, show_running=shows, choices=choices, texts=False)


def test_running_usage_is_read_and_taken_out_of_every_frame() -> None:
    passing = relay()
    out = passing.feed(STREAM) + passing.finish()
    assert b"usage" not in out
    assert text_of(out) == "w1 w2 w3 w4 w5 w6 w7 w8 "
    assert out.endswith(DONE_FRAME)
    assert (passing.produced, passing.passed, passing.finished) == (8, 8, True)
    assert passing.complete is False


def test_a_caller_that_asked_gets_the_usage_at_the_end_and_one_that_asked_for_more_all_of_it() -> None:
    passing = relay(asks=True)
    told = [each for each in events(passing.feed(STREAM) + passing.finish()) if "usage" in each]
    assert [each["usage"]["completion_tokens"] for each in told] == [8]
    passing = relay(asks=True, shows=True)
    assert passing.feed(STREAM) + passing.finish() == STREAM


@given(st.lists(st.integers(0, len(STREAM)), max_size=12), st.integers(0, 10))
def test_what_passes_does_not_depend_on_how_the_stream_was_cut_up(cuts: list[int], limit: int) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    passing = relay()
    passing.limit = limit
    out = b"".join(passing.feed(STREAM[a:b]) for a, b in itertools.pairwise(places) if a != b)
    assert text_of(out) == "".join(f"w{number} " for number in range(1, min(limit, 8) + 1))
    assert passing.passed == min(limit, 8)
    assert passing.produced == 8
    assert passing.blocked is (limit < 8)
    passing.limit = running.NO_LIMIT
    out += passing.feed(b"") + passing.finish()
    assert text_of(out) == "w1 w2 w3 w4 w5 w6 w7 w8 "
    assert out.endswith(DONE_FRAME)


def test_text_that_looks_like_usage_is_not_touched() -> None:
    text = 'say ,"usage":{"completion_tokens":99} or data: {"usage":{"prompt_tokens":1,"completion_tokens":9}}'
    passing = relay()
    out = passing.feed(frame(text, 3))
    assert text_of(out) == text
    assert passing.produced == 3


def test_usage_with_details_and_usage_of_null_are_taken_out_too() -> None:
    details = {"completion_tokens": 3, "prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}
    passing = relay()
    out = passing.feed(frame("a", 1, usage=details))
    assert events(out) == [{key: value for key, value in events(frame("a", 1))[0].items() if key != "usage"}]
    assert passing.usage is not None
    assert (passing.usage.cached_input_tokens, passing.produced) == (4, 3)
    assert b"usage" not in passing.feed(frame("a", 1, usage=None))


def test_the_counts_of_several_answers_are_added_up() -> None:
    passing = relay(choices=2)
    passing.feed(frame("a", 3, index=0) + frame("b", 4, index=1) + frame("c", 5, index=0))
    assert passing.produced == 9
    passing.feed(last(9))
    assert passing.produced == 9


def test_a_cut_ends_the_answer_as_one_that_reached_its_length() -> None:
    passing = relay(asks=True)
    passing.limit = 3
    out = passing.feed(b"".join(WORDS[:6]))
    out += passing.cut(b'"lockgate":{"cut":"budget"}', b'{"completion_tokens":3}')
    assert text_of(out) == "w1 w2 w3 "
    end, usage = events(out)[-2:]
    assert (end["id"], end["model"], end["created"], end["object"]) == ("c1", "served", 7, "chat.completion.chunk")
    assert end["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "length"}]
    assert (usage["choices"], usage["usage"], usage["lockgate"]) == ([], {"completion_tokens": 3}, {"cut": "budget"})
    assert out.endswith(DONE_FRAME)


@pytest.mark.parametrize("note", [b"", b'"lockgate":{}'])
def test_the_end_of_an_answer_that_was_ended_says_only_its_usage(note: bytes) -> None:
    passing = relay(asks=True)
    passing.limit = 3
    passing.feed(b"".join(WORDS[:6]))
    out = passing.end(note, b'{"completion_tokens":3}')
    (usage,) = events(out)
    assert (usage["id"], usage["choices"], usage["usage"]) == ("c1", [], {"completion_tokens": 3})
    assert ("lockgate" in usage) == bool(note)
    assert out.endswith(DONE_FRAME)
    assert relay().end(note, b"{}") == DONE_FRAME


def test_a_cut_before_anything_passed_and_of_texts_is_whole_too() -> None:
    passing = RunningRelay(hide_usage=True, show_running=False, choices=2, texts=True)
    out = passing.cut(b'"lockgate":{}', b"{}")
    (end,) = events(out)
    assert [(each["index"], each["text"], each["finish_reason"]) for each in end["choices"]] == [
        *((0, "", "length"), (1, "", "length")),
    ]


def test_a_cut_in_anthropics_format_ends_with_max_tokens() -> None:
    call = messages.parse(b'{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}')
    passing = running.of(call, False, messages_stream.of(call))
    assert isinstance(passing, Translated)
    passing.running.limit = 2
    out = passing.feed(b"".join(WORDS[:5]))
    out += passing.cut(b'"lockgate":{}', b'{"prompt_tokens":5,"completion_tokens":2}')
    told = events(out)
    assert [each["delta"]["text"] for each in told if each["type"] == "content_block_delta"] == ["w1 ", "w2 "]
    assert told[-1] == {"type": "message_stop"}
    assert told[-2]["delta"]["stop_reason"] == "max_tokens"
    assert told[-2]["usage"]["output_tokens"] == 2
    assert not passing.failed


def test_a_cut_response_is_incomplete_for_its_length() -> None:
    call = responses.parse(b'{"model":"m","stream":true,"input":"hi"}')
    passing = running.of(call, False, responses_stream.Translation(call))
    assert isinstance(passing, Translated)
    passing.running.limit = 2
    out = passing.feed(b"".join(WORDS[:5]))
    out += passing.cut(b'"lockgate":{}', b'{"prompt_tokens":5,"completion_tokens":2}')
    end = events(out)[-1]
    assert end["type"] == "response.incomplete"
    assert end["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert end["response"]["usage"]["output_tokens"] == 2


def test_an_error_in_band_passes_and_is_known() -> None:
    passing = relay()
    passing.feed(WORDS[1])
    assert passing.feed(b'data: {"error":{"message":"no"}}\n\n')
    assert passing.failed


def test_running_usage_is_asked_for_beside_what_the_caller_asked() -> None:
    body = b'{"model":"m","stream":true,"messages":[1],"stream_options":{"include_usage":false,"other":1}}'
    assert json.loads(running.options(chat.parse(body))) == {
        "include_usage": True, "other": 1, "continuous_usage_stats": True,
    }  # fmt: skip
    assert json.loads(running.options(responses.parse(b'{"model":"m","input":"hi"}'))) == {
        "include_usage": True, "continuous_usage_stats": True,
    }  # fmt: skip


@given(st.lists(st.integers(0, 400), max_size=8), st.integers(0, 20))
def test_what_counts_nothing_or_what_cannot_be_is_bounded_by_its_bytes(cuts: list[int], limit: int) -> None:
    silent = b"".join(frame("word", 0, usage=None) for _ in range(4))
    absurd = b"".join(frame("word", 10**9) for _ in range(4))
    for stream in (silent, absurd):
        places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
        passing = relay()
        passing.limit, passing.most = limit, 1000
        out = b"".join(passing.feed(stream[a:b]) for a, b in itertools.pairwise(places) if a != b)
        assert text_of(out) == "word" * min(limit // 4, 4)
        assert (passing.usage, passing.produced) == (None, 16)
        passing.limit = running.NO_LIMIT
        out += passing.feed(b"") + passing.finish()
        assert text_of(out) == "word" * 4
        assert (passing.produced, passing.passed) == (16, 16)
