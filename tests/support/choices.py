"""Made-up answers to chats and completions, and what a reader has of one in the end, streamed or whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import httpx2
from openai import OpenAI

from gateway.dataplane.outlets import ScreenOutlet
from gateway.wire import sse
from gateway.wire.edits import Answer, Channel, Editor, Outcome
from guardrails.chain import Row
from guardrails.holdback import Mask
from guardrails.screen import labelled
from tests.support.outlets import Asking, Score

Delta = dict[str, Any]
Rows = Callable[[str], Sequence[Row]]
"""The checks of a phase."""


class Read(NamedTuple):
    """What a reader has of a choice: each kind of text, the calls as name and arguments, and why it ended."""

    texts: dict[str, str]
    calls: list[tuple[str, str]]
    reason: str | None


def frame(choice: Delta, *, ascii_only: bool = False, **members: Any) -> bytes:
    """A chunk with one choice."""
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 5, "model": "m", "choices": [choice], **members}
    try:
        said = json.dumps(chunk, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:  # half of a character, which only an escape can say
        said = json.dumps(chunk).encode()
    return b"data: %b\n\n" % said


def chat_frame(delta: Delta, reason: str | None = None, index: int = 0, **members: Any) -> bytes:
    return frame({"index": index, "delta": delta, "finish_reason": reason}, **members)


def joined(text: str) -> str:
    """Halves of characters that stand side by side as the characters they are."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def streamed(stream: bytes) -> dict[int, Read]:
    """What is in the choices of a stream, whose frames are all of the format."""
    texts: dict[int, dict[str, str]] = {}
    calls: dict[int, dict[int, list[str]]] = {}
    reasons: dict[int, str | None] = {}
    for payload in sse.payloads(stream):
        for choice in () if payload == sse.DONE else json.loads(payload)["choices"]:
            index = choice["index"]
            said = texts.setdefault(index, {})
            told = calls.setdefault(index, {})
            assert reasons.get(index) is None, "said after its end"
            reasons[index] = choice["finish_reason"]
            delta = choice.get("delta", {"text": choice.get("text")})
            for kind in ("reasoning_content", "reasoning", "content", "refusal", "text"):
                if delta.get(kind):
                    said[kind] = said.get(kind, "") + delta[kind]
            for call in delta.get("tool_calls") or ():
                known = told.setdefault(call["index"], ["", ""])
                known[0] += call["function"].get("name") or ""
                known[1] += call["function"].get("arguments") or ""
    return {
        index: Read(
            {kind: joined(text) for kind, text in said.items()},
            [(name, joined(arguments)) for _, (name, arguments) in sorted(calls[index].items())],
            reasons[index],
        )
        for index, said in texts.items()
    }


def whole(body: bytes) -> dict[int, Read]:
    """The same of a whole answer."""
    read: dict[int, Read] = {}
    for choice in json.loads(body)["choices"]:
        message = choice.get("message", {"text": choice.get("text")})
        kinds = ("reasoning_content", "reasoning", "content", "refusal", "text")
        calls = [each["function"] for each in message.get("tool_calls") or ()]
        read[choice["index"]] = Read(
            {kind: message[kind] for kind in kinds if message.get(kind)},
            [(call["name"], call["arguments"]) for call in calls],
            choice["finish_reason"],
        )
    return read


def sdk(stream: bytes) -> OpenAI:
    """The official client, of a server that answers with this."""
    headers = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=stream))
    return OpenAI(api_key="none", base_url="http://gateway.test", http_client=httpx2.Client(transport=transport))


def edited(editor: Editor, chunks: Iterable[bytes]) -> bytes:
    """All an editor sends whose outlets ask nothing."""
    return b"".join(editor.feed(chunk) for chunk in chunks) + editor.finish()


def judged(answer: Answer, rows: Rows, score: Score) -> list[Outcome]:
    """What becomes of each part of a whole answer, each by the checks of its phase."""
    asking = Asking(score)
    return [asking.judged(asking.outlet(rows(part.phase)), part.text) for part in answer.parts]


class Desk(Asking):
    """Makes the outlets of a stream, and answers what they ask when it is told to."""

    def __init__(self, rows: Rows, score: Score, mask: Mask = labelled) -> None:
        super().__init__(score)
        self._rows = rows
        self._mask = mask

    def opening(self, channel: Channel) -> ScreenOutlet:
        """An `edits.Opening`."""
        return self.outlet(self._rows(channel.phase), self._mask)

    def run(self, editor: Editor, chunks: Iterable[bytes], answers: Iterable[int] = ()) -> bytes:
        """All an editor sends. `answers`: after each chunk one number: 0 answers nothing, another one something."""
        sent: list[bytes] = []
        when = iter(answers)
        for chunk in chunks:
            sent.append(editor.feed(chunk))
            which = next(when, 0)
            if which and self.asked:
                self.answer(which)
                sent.append(editor.more())
        return b"".join(sent) + self.end(editor)
