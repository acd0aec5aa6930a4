"""Streamed answers to completions, edited."""

from __future__ import annotations

import json

import pytest

from gateway.wire import completions
from gateway.wire.completions_editor import CompletionsEditor
from gateway.wire.edits import Channel
from tests.support.choices import Read, edited, frame, sdk, streamed
from tests.support.outlets import ScriptedOutlet
from tests.support.wire_samples import SAMPLES


def editor(prompt: object = "p", n: int = 1, waits: bool = False) -> tuple[CompletionsEditor, list[ScriptedOutlet]]:
    outlets: list[ScriptedOutlet] = []

    def opening(channel: Channel) -> ScriptedOutlet:
        assert (channel.kind, channel.number) == ("content", 0)
        outlets.append(ScriptedOutlet(waits=waits, sign="✗"))
        return outlets[-1]

    call = completions.parse(json.dumps({"model": "m", "n": n, "stream": True, "prompt": prompt}).encode())
    return CompletionsEditor(call, opening), outlets


def text_frame(text: str, reason: str | None = None, index: int = 0) -> bytes:
    return frame(
        {"index": index, "text": text, "finish_reason": reason, "token_ids": [1], "logprobs": {"tokens": [text]}}
    )


@pytest.mark.parametrize("server", ["vllm", "llama_cpp"])
def test_what_real_servers_sent_says_the_same_afterwards(server: str) -> None:
    stream = (SAMPLES / server / "completion_stream_usage.sse").read_bytes()
    sent = edited(editor()[0], [stream])
    assert streamed(sent) == streamed(stream)
    with sdk(sent) as client, client.completions.create(model="m", prompt="p", stream=True) as chunks:
        told = [choice.text for chunk in chunks for choice in chunk.choices]
    assert "".join(told) == streamed(stream)[0].texts["text"]


def test_text_is_held_back_and_comes_before_the_end_of_its_choice() -> None:
    edit, outlets = editor(waits=True)
    sent = edit.feed(text_frame("a|b") + text_frame("c", "stop"))
    assert streamed(sent) == {0: Read({"text": "a"}, [], None)}
    assert b"token" not in sent
    outlets[0].answer()
    assert edit.waits
    sent += edit.more()
    assert streamed(sent) == {0: Read({"text": "abc"}, [], "stop")}


def test_a_block_ends_its_choice() -> None:
    edit, _ = editor(n=2)
    sent = edited(edit, [text_frame("a✗b"), text_frame("x", index=1), text_frame("c", "stop")])
    assert streamed(sent) == {0: Read({"text": "a"}, [], "content_filter"), 1: Read({"text": "x"}, [], None)}
    assert not edit.blocked


@pytest.mark.parametrize(
    ("prompt", "choices"), [("p", 1), ([], 1), (["p", "q"], 2), ([5, 6], 1), ([[5], [6], [7]], 3), ({"a": 1}, 1)]
)
def test_all_is_blocked_when_the_choices_of_every_prompt_are(prompt: object, choices: int) -> None:
    edit, _ = editor(prompt, n=2)
    for index in range(2 * choices):
        assert not edit.blocked
        edit.feed(text_frame("✗", index=index))
    assert edit.blocked
