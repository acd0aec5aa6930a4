"""A streamed chat answer under real checks: however its bytes are cut and whenever answers come, what is delivered is
what the whole answer would have had, and no character of a masked or blocked part.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire import chat, sse
from gateway.wire.chat_answer import ChatAnswer
from gateway.wire.chat_editor import ChatEditor
from gateway.wire.edits import OUTPUT
from guardrails.chain import Row
from guardrails.screen import Call, Screen
from guardrails.settings import chain_of
from guardrails.verdict import Action, Phase
from tests.support import choices
from tests.support.choices import Desk, Read, chat_frame

BOTH = ["output", "tool_call"]
PATTERNS: list[dict[str, object]] = [
    {"check": "secrets", "phase": BOTH, "action": "mask"},
    {"check": "pii", "phase": BOTH, "action": "mask", "entities": ["EMAIL_ADDRESS", "CREDIT_CARD", "IP_ADDRESS"]},
    {"check": "keywords", "phase": BOTH, "action": "block", "words": ["stop now"]},
]
ASKING = chain_of("asking", [*PATTERNS, {"check": "toxicity", "phase": "output", "action": "block"}])
ONLY_PATTERNS = chain_of("patterns", PATTERNS)

PIECES = st.sampled_from(
    [
        *(
            "joe@x",
            ".org ",
            "joe",
            "@",
            "1",
            "0.0.0",
            ".1 ",
            "AKIA",
            "IOSFODNN7",
            "QZTWXAB ",
            "4111 1111 ",
            "1111 1111 ",
        ),
        *("st", "op", " ", "now ", "stop now", "😀", "\ud83d", "\ude00", "é", "\u200b", '"', "\\", "\n", "\\u0041"),
        *("A sentence that goes on for a while until it ends at last. ", "BAD ", "x" * 40, "{", '{"a":1}', "|"),
    ]
)
texts = st.lists(PIECES, max_size=6)
calls = st.lists(st.tuples(st.sampled_from(["search", "get_weather"]), texts), max_size=2)
spoken = st.tuples(texts, texts, texts, calls, st.sampled_from(["reasoning", "reasoning_content", "both"]))


def score(call: Call) -> float:
    return 1.0 if "BAD" in call.need.text else 0.0


def rows(phase: str) -> Sequence[Row]:
    return ASKING.rows(Phase(phase))


def deltas(said: Any) -> list[dict[str, Any]]:
    """What is said in the pieces in which a backend says it."""
    reasoning, content, refusal, called, name = said
    names = ("reasoning_content", "reasoning") if name == "both" else (name,)
    made: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    made += [dict.fromkeys(names, piece) for piece in reasoning]
    made += [{"content": piece} for piece in content]
    made += [{"refusal": piece} for piece in refusal]
    for index, (tool, pieces) in enumerate(called):
        function = {"name": tool, "arguments": ""}
        made.append({"tool_calls": [{"index": index, "id": f"call-{index}", "type": "function", "function": function}]})
        made += [{"tool_calls": [{"index": index, "function": {"arguments": piece}}]} for piece in pieces]
    return made


def message(said: Any) -> dict[str, Any]:
    """The same, whole."""
    reasoning, content, refusal, called, name = said
    names = ("reasoning_content", "reasoning") if name == "both" else (name,)
    functions = [{"name": tool, "arguments": choices.joined("".join(pieces))} for tool, pieces in called]
    return {
        "role": "assistant",
        **dict.fromkeys(names, choices.joined("".join(reasoning))),
        "content": choices.joined("".join(content)) or None,
        "refusal": choices.joined("".join(refusal)) or None,
        "tool_calls": [{"id": f"call-{at}", "type": "function", "function": each} for at, each in enumerate(functions)],
    }


def stream(answers: list[Any], order: list[int], *, ascii_only: bool) -> bytes:
    """The frames of all choices, woven together."""
    waiting = [(index, deltas(said)) for index, said in enumerate(answers)]
    frames: list[bytes] = []
    for turn in itertools.chain(order, itertools.count()):
        if not waiting:
            break
        index, left = waiting[turn % len(waiting)]
        if left:
            frames.append(chat_frame(left.pop(0), index=index, ascii_only=ascii_only))
        else:
            frames.append(chat_frame({}, "stop", index=index))
            waiting = [each for each in waiting if each[0] != index]
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":1},"lockgate":{"cost":"0"}}\n\n'
    return b"".join([*frames, usage, b": a comment\n\n", b"data: [DONE]\n\n"])


def whole(answers: list[Any]) -> bytes:
    told = [
        {"index": index, "message": message(said), "finish_reason": "stop", "logprobs": None}
        for index, said in enumerate(answers)
    ]
    return json.dumps({"id": "c1", "choices": told}).encode()


def call_of(count: int) -> Any:
    return chat.parse(json.dumps({"model": "m", "n": count, "stream": True, "messages": [{}]}).encode())


def read_whole(body: bytes) -> tuple[dict[int, Read], dict[int, list[tuple[str, str]]]]:
    """What a reader has of the whole answer under the same checks; and of each choice the call that was blocked after
    some of its arguments, of which a stream has told that much.
    """
    answer = ChatAnswer(body)
    outcomes = choices.judged(answer, rows, score)
    ended: set[int] = set()
    begun: dict[int, list[tuple[str, str]]] = {part.choice: [] for part in answer.parts}
    for part, outcome in zip(answer.parts, outcomes, strict=True):
        if outcome.blocked and part.choice not in ended:
            ended.add(part.choice)
            begun[part.choice] = [(part.tool, outcome.text)] if part.tool and outcome.text else []
    return choices.whole(answer.said(outcomes)), begun


def delivered(answers: list[Any], chunks: list[bytes], when: list[int]) -> None:
    """Checks that a stream in these pieces delivers what the whole answer would."""
    editor_desk = Desk(rows, score)
    editor = ChatEditor(call_of(len(answers)), editor_desk.opening)
    sent = editor_desk.run(editor, chunks, when)
    found = choices.streamed(sent)
    expected, begun = read_whole(whole(answers))
    assert found == {index: read._replace(calls=read.calls + begun.get(index, [])) for index, read in expected.items()}
    assert sent.endswith(b": a comment\n\ndata: [DONE]\n\n")
    assert b'"lockgate":{"cost":"0"}' in sent
    assert editor.blocked == all(read.reason == "content_filter" for read in expected.values())


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    at = sorted({place % (len(whole) + 1) for place in places} | {0, len(whole)})
    return [whole[begin:end] for begin, end in itertools.pairwise(at)]


many = st.lists(spoken, min_size=1, max_size=2)
orders = st.lists(st.integers(0, 1), max_size=30)


@given(
    many, orders, st.booleans(), st.lists(st.integers(0, 20_000), max_size=30), st.lists(st.integers(0, 5), max_size=30)
)
@settings(deadline=None, max_examples=50)
def test_any_cut_and_any_time_of_answers_deliver_what_the_whole_answer_has(
    answers: list[Any], order: list[int], ascii_only: bool, places: list[int], when: list[int]
) -> None:
    delivered(answers, cut(stream(answers, order, ascii_only=ascii_only), places), when)


def test_every_cut_in_two_delivers_the_same() -> None:
    calls = [("search", ['{"for":"joe@', 'example.org"', "}"]), ("search", ['{"for":"stop ', "now", '"}'])]
    said = stream([(["😀 é"], ["mail joe@example", ".org \ud83d", "\ude00"], [], calls, "both")], [], ascii_only=True)
    once = Desk(rows, score)
    sent = once.run(ChatEditor(call_of(1), once.opening), [said])
    for at in range(len(said)):
        desk = Desk(rows, score)
        assert desk.run(ChatEditor(call_of(1), desk.opening), [said[:at], said[at:]]) == sent
    assert choices.streamed(sent)[0] == Read(
        {"reasoning_content": "😀 é", "reasoning": "😀 é", "content": "mail [EMAIL_ADDRESS] 😀"},
        [("search", '{"for":"[EMAIL_ADDRESS]"}'), ("search", '{"for":"')],
        "content_filter",
    )


@given(texts, st.lists(st.integers(0, 20_000), max_size=12))
@settings(deadline=None, max_examples=40)
def test_no_character_of_a_masked_or_blocked_part_is_delivered(pieces: list[str], places: list[int]) -> None:
    """Masks are empty here, so what is delivered is what is left of the text: nothing else of it."""
    patterns = ONLY_PATTERNS.rows(Phase(OUTPUT))
    text = choices.joined("".join(pieces))
    judge = Screen(patterns, lambda *_: "")
    judge.feed(text)
    judge.finish()
    kept = set(range(len(text)))
    for ruling in judge.verdict().rulings:
        end = len(text) if ruling.action is Action.BLOCK else ruling.finding.end
        kept -= set(range(ruling.finding.start, end))
    desk = Desk(lambda _: patterns, score, lambda *_: "")
    said = stream([([], pieces, [], [], "reasoning")], [], ascii_only=True)
    sent = desk.run(ChatEditor(call_of(1), desk.opening), cut(said, places))
    assert choices.streamed(sent)[0].texts.get("content", "") == "".join(text[at] for at in sorted(kept))


@given(many, orders, st.integers(0, 100), st.integers(0, 200))
@settings(deadline=None, max_examples=40)
def test_a_stream_that_breaks_off_delivers_what_an_answer_that_ends_there_would(
    answers: list[Any], order: list[int], frames: int, more: int
) -> None:
    came = list(sse.frames(stream(answers, order, ascii_only=True)))
    broken = came[frames % len(came)]
    came = came[: frames % len(came)]
    desk = Desk(rows, score)
    editor = ChatEditor(call_of(len(answers)), desk.opening)
    found = choices.streamed(desk.run(editor, [*came, broken[: more % (len(broken) - 2)]]))
    said = choices.streamed(b"".join(came))
    expected, begun = read_whole(body(said))
    assert found == {index: read._replace(calls=read.calls + begun.get(index, [])) for index, read in expected.items()}
    assert editor.failed is None


def body(said: dict[int, Read]) -> bytes:
    """The whole answer of which a reader has this."""
    told = [
        {
            "index": index,
            "message": {**read.texts, "tool_calls": [{"function": {"name": n, "arguments": a}} for n, a in read.calls]},
            "finish_reason": read.reason,
        }
        for index, read in said.items()
    ]
    return json.dumps({"choices": told}).encode()
