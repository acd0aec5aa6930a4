"""Answers to chats and completions of any shape, under outlets that let nothing out: nothing raises and no text passes.
And completions are delivered alike however they are cut.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import UpstreamProtocol
from gateway.wire import chat, completions
from gateway.wire.chat_answer import ChatAnswer
from gateway.wire.chat_editor import ChatEditor
from gateway.wire.completions_answer import CompletionsAnswer
from gateway.wire.completions_editor import CompletionsEditor
from gateway.wire.edits import Channel, Outcome
from guardrails.chain import Row
from guardrails.screen import Call
from guardrails.settings import chain_of
from guardrails.verdict import Phase
from tests.support import choices
from tests.support.choices import Desk, frame
from tests.support.outlets import ScriptedOutlet

SECRET = "secret"
CHAT = chat.parse(b'{"model":"m","n":2,"stream":true,"messages":[{}]}')
TEXT = completions.parse(b'{"model":"m","n":2,"stream":true,"prompt":"p"}')
EDITORS = {"chat": (ChatEditor, CHAT), "completions": (CompletionsEditor, TEXT)}
ANSWERS = {"chat": ChatAnswer, "completions": CompletionsAnswer}

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.just(SECRET), st.just("")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["text", "content", "input"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def mostly(*likely: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What should stand somewhere, and now and then anything else."""
    return st.one_of(*likely, *likely, *likely, values)


def members(**likely: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return mostly(st.fixed_dictionaries({}, optional={**likely, "other": values, "text": values}))


functions = members(name=mostly(st.just("f")), arguments=mostly(st.just(SECRET)), input=mostly(st.just(SECRET)))
called = mostly(st.lists(members(index=mostly(st.integers(0, 2)), function=functions, custom=functions), max_size=2))
said = members(
    role=st.just("assistant"),
    content=mostly(st.just(SECRET)),
    reasoning=mostly(st.just(SECRET)),
    reasoning_content=mostly(st.just(SECRET)),
    refusal=mostly(st.just(SECRET)),
    tool_calls=called,
    function_call=functions,
)
told = members(
    index=mostly(st.integers(0, 2)),
    delta=said,
    message=said,
    logprobs=values,
    token_ids=values,
    finish_reason=st.sampled_from(["stop", None, "", 5, [], {"text": SECRET}]),
)
bodies = st.fixed_dictionaries(
    {}, optional={"choices": mostly(st.lists(told, max_size=2)), "error": mostly(st.none()), "prompt_text": values}
)
"""An answer, or a frame; members of its own that no one knows may be notes, and pass."""


@pytest.mark.parametrize("endpoint", EDITORS)
@given(sent=st.lists(bodies, max_size=5))
@settings(deadline=None)
def test_no_stream_of_any_shape_raises_or_tells_a_text_that_no_outlet_let_out(
    endpoint: str, sent: list[dict[str, Any]]
) -> None:
    outlets: list[ScriptedOutlet] = []

    def opening(_: Channel) -> ScriptedOutlet:
        outlets.append(ScriptedOutlet(waits=True))
        return outlets[-1]

    kind, call = EDITORS[endpoint]
    editor = kind(call, opening)
    frames = [b"data: %b\n\n" % json.dumps(body).encode() for body in sent if not _is_error(body)]
    out = [editor.feed(each) for each in frames]
    out.append(editor.finish())
    while editor.waits:
        for outlet in outlets:
            outlet.answer(block=True)
        out.append(editor.more())
    assert SECRET.encode() not in b"".join(out)


def _is_error(body: dict[str, Any]) -> bool:
    """What a backend says of its own failure passes as it is."""
    return body.get("error") is not None


@pytest.mark.parametrize("endpoint", ANSWERS)
@given(sent=bodies)
@settings(deadline=None)
def test_no_answer_of_any_shape_tells_a_text_that_was_not_let_out(endpoint: str, sent: dict[str, Any]) -> None:
    try:
        answer = ANSWERS[endpoint](json.dumps(sent).encode())
    except UpstreamProtocol:
        return
    if not _is_error(sent):
        assert SECRET.encode() not in answer.said([Outcome("", blocked=True) for _ in answer.parts])


pieces = st.lists(
    st.sampled_from(
        [*("joe@", "example.org", " ", "stop", "now", "😀", "\ud83d", "\ude00", "x" * 40), "BAD ", "An end at last. "]
    ),
    max_size=8,
)
CHAIN = chain_of(
    "all",
    [
        {"check": "pii", "phase": "output", "action": "mask", "entities": ["EMAIL_ADDRESS"]},
        {"check": "keywords", "phase": "output", "action": "block", "words": ["stop now"]},
        {"check": "toxicity", "phase": "output", "action": "block"},
    ],
)


def score(call: Call) -> float:
    return 1.0 if "BAD" in call.need.text else 0.0


def rows(phase: str) -> Sequence[Row]:
    return CHAIN.rows(Phase(phase))


@given(
    st.lists(pieces, min_size=1, max_size=2),
    st.lists(st.integers(0, 5_000), max_size=20),
    st.lists(st.integers(0, 5), max_size=20),
)
@settings(deadline=None)
def test_any_cut_of_a_completion_delivers_what_the_whole_answer_has(
    texts: list[list[str]], places: list[int], when: list[int]
) -> None:
    weave = itertools.zip_longest(*([(at, text) for text in said] for at, said in enumerate(texts)))
    spoken = [frame({"index": one[0], "text": one[1], "finish_reason": None}) for row in weave for one in row if one]
    ends = [frame({"index": at, "text": "", "finish_reason": "stop"}) for at in range(len(texts))]
    stream = b"".join([*spoken, *ends, b"data: [DONE]\n\n"])
    at = sorted({place % len(stream) for place in places} | {0, len(stream)})
    desk = Desk(rows, score)
    sent = desk.run(
        CompletionsEditor(TEXT, desk.opening), [stream[begin:end] for begin, end in itertools.pairwise(at)], when
    )
    told = [
        {"index": at, "text": choices.joined("".join(said)), "finish_reason": "stop"} for at, said in enumerate(texts)
    ]
    answer = CompletionsAnswer(json.dumps({"choices": told}).encode())
    assert choices.streamed(sent) == choices.whole(answer.said(choices.judged(answer, rows, score)))
