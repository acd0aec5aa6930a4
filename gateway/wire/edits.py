"""The texts of requests and answers, read out of their formats and said again with other words: what checks work on.

What was read is what is sent: a format's reader gives every text that a model or a reader may see, and writes the whole
anew from what it read, so that no second reading of the same bytes can find another text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from gateway.errors import UpstreamError

INPUT: Final = "input"
OUTPUT: Final = "output"
TOOL_CALL: Final = "tool_call"
TOOL_RESULT: Final = "tool_result"
"""Where a text stands: the names of `guardrails.verdict.Phase`."""


class Part:
    """One text of a request or of a whole answer."""

    __slots__ = ("choice", "is_json", "phase", "place", "text", "tool")

    def __init__(
        self, place: str, phase: str, text: str, *, is_json: bool = False, tool: str = "", choice: int = 0
    ) -> None:
        self.place: Final = place
        """Where it stands, for an error: `messages[2].content[0].text`."""
        self.phase: Final = phase
        self.text: Final = text
        self.is_json: Final = is_json
        """It is a JSON document, such as the arguments of a tool call: its strings are the texts."""
        self.tool: Final = tool
        """The tool that is called, or whose result this is; "" where that is not known or it is neither."""
        self.choice: Final = choice
        """Of an answer: which of the `n`."""


class Texts(Protocol):
    """The texts of a request."""

    @property
    def parts(self) -> Sequence[Part]:
        """All of them, in order."""
        ...

    @property
    def unread(self) -> str:
        """The first place that holds text no check can read (token ids); "" when there is none."""
        ...

    @property
    def leaks(self) -> str:
        """The first field that asks for the answer's tokens beside its text (logprobs, token ids); "" for none."""
        ...

    @property
    def offered(self) -> Sequence[str]:
        """The names of the tools the model may call."""
        ...

    @property
    def results(self) -> Sequence[str]:
        """The names of the tools whose results stand after the last thing the user said."""
        ...

    def said(self, texts: Sequence[str]) -> tuple[dict[str, bytes], bytes]:
        """With these in place of `parts`: the top-level fields that were read (name → JSON), written anew, and the
        whole body."""
        ...


class Outcome:
    """What became of a part of a whole answer: what may be delivered of it, and whether it was cut off there."""

    __slots__ = ("blocked", "text")

    def __init__(self, text: str, *, blocked: bool = False) -> None:
        self.text: Final = text
        self.blocked: Final = blocked


class Answer(Protocol):
    """A whole answer in the caller's format."""

    @property
    def parts(self) -> Sequence[Part]:
        """All texts, in the order in which they were said."""
        ...

    def said(self, outcomes: Sequence[Outcome]) -> bytes:
        """The answer with these in place of `parts`. Of a choice nothing is left behind a part that was blocked, a tool
        call that was blocked is left out, and the choice ends as the format tells that content was filtered."""
        ...


class Channel:
    """One text of a streamed answer, which comes in pieces."""

    __slots__ = ("choice", "is_json", "kind", "number", "phase", "tool")

    def __init__(
        self, choice: int, kind: str, phase: str = OUTPUT, *, number: int = 0, is_json: bool = False, tool: str = ""
    ) -> None:
        self.choice: Final = choice
        self.kind: Final = kind
        """content, reasoning, refusal or arguments."""
        self.phase: Final = phase
        self.number: Final = number
        """Which of its kind in the choice: of tool calls, of blocks."""
        self.is_json: Final = is_json
        self.tool: Final = tool


class Outlet(Protocol):
    """What a channel's text goes through on its way. `blocked` may be true before anything was fed (a tool that may not
    be called); what was delivered until then stays delivered."""

    @property
    def blocked(self) -> bool:
        """Nothing more of it is delivered."""
        ...

    @property
    def waits(self) -> bool:
        """Answers are outstanding: `finish` does not give all yet."""
        ...

    def feed(self, text: str) -> str:
        """What may be delivered after these characters."""
        ...

    def more(self) -> str:
        """What answers that came meanwhile set free."""
        ...

    def finish(self) -> str:
        """The text has ended: what may be delivered of the rest. Called once; while it `waits`, `more` gives what
        follows."""
        ...


class Editor(Protocol):
    """A streamed answer on its way, in the caller's format: any cut of its bytes in, whole frames out, each channel's
    text through its outlet. What is delivered of a channel does not depend on the cut.

    A frame whose text is all held back is left out if it says nothing else. What an outlet held back and sets free
    later comes in a frame of its own, made like the channel's last one. The frame that ends a channel or a choice waits
    for the outlet, and all frames behind it wait too. A choice with a blocked outlet ends at once, as the format tells
    that content was filtered, and nothing more of it passes; frames that belong to no choice (usage, errors, the last
    one) pass. A tool call is first told when something of it may be delivered.
    """

    @property
    def waits(self) -> bool:
        """Frames are held until outlets have their answers."""
        ...

    @property
    def failed(self) -> UpstreamError | None:
        """Why the answer ended with an error that the editor itself told in band: it could not be read."""
        ...

    @property
    def blocked(self) -> bool:
        """All choices that were asked for have ended by a block: nothing worth waiting for follows."""
        ...

    def feed(self, data: bytes) -> bytes:
        """What may be sent after these bytes."""
        ...

    def more(self) -> bytes:
        """What may be sent after answers came to outlets."""
        ...

    def finish(self) -> bytes:
        """The stream has ended: the rest that may be sent; while it `waits`, `more` gives what follows. Raises
        nothing: an end in the middle of a frame or a channel delivers what is judged."""
        ...


Opening = Callable[[Channel], Outlet]
"""Makes the outlet of a channel that begins."""
