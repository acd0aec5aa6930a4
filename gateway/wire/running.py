"""A chat stream whose backend tells in every frame what was used so far: the caller gets the frames up to a limit of
output tokens, and without the counts it did not ask for.

Frames beyond `limit` are kept; when it is raised they pass with the next `feed`, and when it is not, `cut` ends the
answer as one that reached its length. Where the caller's format is another, what passes goes through the translation
of that format (`Translated`), the cut included.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final

import msgspec

from gateway.wire import body as wire_body
from gateway.wire import running_frames, sse, usage
from gateway.wire.call import Call, Passing
from gateway.wire.relay import DONE_FRAME, Relay
from gateway.wire.usage import Usage

NO_LIMIT: Final = 2**62

OPTIONS: Final = b'{"include_usage":true,"continuous_usage_stats":true}'

_MEMBER: Final = re.compile(rb', ?"usage" ?: ?(?:null|\{(?: ?"[a-z_]+" ?: ?(?:\{[^{}]*\}|[a-z0-9.+-]+),?)* ?\})')
"""A frame's `usage`: it is the last member of the frame or stands before another one, never first."""
_ODD: Final = re.compile(rb'"choices" ?: ?\[\]|"error"')
"""Frames that are looked at one by one."""
_FINISH: Final = re.compile(rb'"finish_reason" ?: ?"')
_encode: Final = msgspec.json.Encoder().encode


def options(call: Call) -> bytes:
    """The `stream_options` that ask for running usage, the caller's others kept."""
    if call.endpoint not in ("chat", "completions") or "stream_options" not in call.fields:
        return OPTIONS
    told = {"include_usage": b"true", "continuous_usage_stats": b"true"}
    return wire_body.join(wire_body.members(call.fields, "stream_options"), told)


def shows_usage(call: Call) -> bool:
    """Whether the caller asked to see running usage itself."""
    return call.asks_usage and wire_body.flag(
        wire_body.members(call.fields, "stream_options"), "continuous_usage_stats"
    )


class RunningRelay(Relay):
    """See the module, and `Relay`.

    - `usage`: the last usage told, of what may not have passed, too. Where a backend tells none, or more output than
      `most`, `produced` is bounded by the bytes it said.
    - `passed`: output tokens of all that passed.
    - `finished`: a reason to finish passed.
    """

    reads_all: ClassVar[bool] = True

    __slots__ = (
        *("_choices", "_counts", "_disbelieves", "_kept", "_kept_said", "_last", "_said", "_show", "_texts"),
        *("finished", "limit", "most", "passed"),
    )

    def __init__(self, *, hide_usage: bool, show_running: bool, choices: int, texts: bool) -> None:
        """`texts`: the frames are of completions, not of chat."""
        super().__init__(hide_usage)
        self.limit = NO_LIMIT
        self.passed = 0
        self.finished = False
        self._show = show_running
        self._choices = choices
        self._texts = texts
        self._counts: dict[int, Usage] = {}
        self._kept = b""
        self._last = b""
        self._said = 0
        self._kept_said = 0
        self._disbelieves = False
        self.most = NO_LIMIT

    @property
    def produced(self) -> int:
        """Output tokens the backend is known to have made, or where it does not count, can have made at most."""
        seen = self.usage
        return self._said if seen is None else seen.output_tokens + seen.reasoning_tokens

    @property
    def blocked(self) -> bool:
        """Frames wait for a higher limit."""
        return bool(self._kept)

    def feed(self, data: bytes) -> bytes:
        """What the caller may have; `feed(b"")` after `limit` was raised gives what was kept."""
        if not data:
            kept = self._take_kept()
            return self._pass(kept) if kept else b""
        return super().feed(data)

    def finish(self) -> bytes:
        """What is left to send, within the limit."""
        kept = self._take_kept()
        rest, self._held = kept + self._held, b""
        return self._pass(rest) if rest else b""

    def cut(self, note: bytes, counts: bytes) -> bytes:
        """The frames that end the answer here: every choice reached its length. `note` is a member `"name":…` for the
        last frame; `counts` is the usage to show, for a caller that asked.
        """
        self._kept = self._held = b""
        head = self._head()
        said: dict[str, Any] = {"text": "", "logprobs": None} if self._texts else {"delta": {}, "logprobs": None}
        ends = [{"index": index, **said, "finish_reason": "length"} for index in range(self._choices)]
        return _frame(head | {"choices": ends}, note) + self._usage_frame(head, note, counts) + DONE_FRAME

    def end(self, note: bytes, counts: bytes) -> bytes:
        """The same without the frame that ends the choices, which have ended. `note` may be b""."""
        self._kept = self._held = b""
        return self._usage_frame(self._head(), note, counts) + DONE_FRAME

    # -- inside

    def _head(self) -> dict[str, Any]:
        """The members that all frames have."""
        frame = running_frames.read(sse.data(self._last) or b"")
        kind = "text_completion" if self._texts else "chat.completion.chunk"
        return {
            "id": frame.id or "",
            "object": frame.object or kind,
            "created": frame.created or 0,
            "model": frame.model or "",
        }

    def _usage_frame(self, head: dict[str, Any], note: bytes, counts: bytes) -> bytes:
        """For a caller that asked for it."""
        return b"" if self.hide_usage else _frame(head | {"choices": []}, b'"usage":%b' % counts, note)

    def _take_kept(self) -> bytes:
        """What was kept, to be read again."""
        kept, self._kept = self._kept, b""
        self._said -= self._kept_said
        self._kept_said = 0
        return kept

    def _read(self, data: bytes) -> bytes:
        """Whole frames, some of which name usage or an error."""
        return self._pass(data)

    def _pass(self, data: bytes) -> bytes:
        """`data`, as far as the limit goes; whole frames."""
        if self._kept:
            before = self._said
            self._count(data)
            self._kept_said += self._said - before
            self._kept += data
            return b""
        if self._choices == 1 and not _ODD.search(data) and sse.holds(data, b'"usage"'):
            frame = data[data.rfind(b"data: ") :]
            told = usage.from_frame(sse.data(frame) or b"")
            seen = None if told is None else self._believed(told)
            if seen is not None:
                self.usage = seen
                out = seen.output_tokens + seen.reasoning_tokens
                if out <= self.limit:
                    self.passed = out
                    self._last = frame
                    self.finished = self.finished or _FINISH.search(data) is not None
                    return data if self._show else _MEMBER.sub(b"", data)
        return self._one_by_one(data)

    def _one_by_one(self, data: bytes) -> bytes:
        kept: list[bytes] = []
        at = 0
        for frame in sse.frames(data):
            payload = sse.data(frame) or b""
            only_usage = False
            before = self._said
            if payload:
                only_usage = self._stated(payload)
                if self.produced > self.limit and not only_usage:
                    self._kept = data[at:]
                    self._count(data[at + len(frame) :])
                    self._kept_said = self._said - before
                    break
                self.passed = max(self.passed, min(self.produced, self.limit))
            at += len(frame)
            if payload.startswith(b'{"error"'):
                self.failed = True
            elif payload and payload != sse.DONE:
                self._last = frame
                self.finished = self.finished or _FINISH.search(frame) is not None
            if only_usage:
                if not self.hide_usage:
                    self.passed = self.produced
                    kept.append(self._noted(frame))
            else:
                kept.append(frame if self._show else _MEMBER.sub(b"", frame))
        return b"".join(kept)

    def _count(self, data: bytes) -> None:
        """Reads the usage of frames that do not pass."""
        for frame in sse.frames(data):
            self._stated(sse.data(frame) or b"")

    def _believed(self, told: Usage) -> Usage | None:
        """The usage a frame tells; None from the first on that cannot be: then bytes are counted instead."""
        if not self._disbelieves and told.output_tokens + told.reasoning_tokens > self.most:
            self._disbelieves = True
            self.usage = None
            self._said = self.passed
        return None if self._disbelieves else told

    def _stated(self, payload: bytes) -> bool:
        """Takes up a frame's usage; True for the one at the end, which has nothing else."""
        told = usage.from_frame(payload) if sse.holds(payload, b'"usage"') else None
        seen = None if told is None else self._believed(told)
        if seen is None and self.usage is not None:
            return False
        choices = running_frames.read(payload).choices or []
        if seen is None:
            self._said += sum(map(running_frames.said_bytes, choices))
            return told is not None and not choices
        if not choices:
            self.usage = seen
            return True
        if self._choices == 1:
            self.usage = seen
            return False
        self._counts[choices[0].index] = seen
        each = self._counts.values()
        self.usage = Usage(  # of the input all choices tell the same
            seen.input_tokens,
            seen.cached_input_tokens,
            sum(one.output_tokens for one in each),
            sum(one.reasoning_tokens for one in each),
        )
        return False


def _frame(said: dict[str, Any], *members: bytes) -> bytes:
    """A frame that says this, and the members that are there."""
    return b"data: %b}\n\n" % b",".join([_encode(said)[:-1], *filter(None, members)])


class Translated:
    """A running stream in a format that is translated; see `call.Passing` and `RunningRelay`."""

    __slots__ = ("_inner", "running")

    def __init__(self, running: RunningRelay, inner: Passing) -> None:
        self.running = running
        self._inner = inner

    @property
    def usage(self) -> Usage | None:
        return self.running.usage

    @property
    def failed(self) -> bool:
        return self._inner.failed or self.running.failed

    @property
    def mid_frame(self) -> bool:
        return self._inner.mid_frame

    @property
    def complete(self) -> bool:
        return self.running.complete or self._inner.complete

    def feed(self, data: bytes) -> bytes:
        passed = self.running.feed(data)
        return self._inner.feed(passed) if passed else b""

    def finish(self) -> bytes:
        rest = self.running.finish()
        return (self._inner.feed(rest) if rest else b"") + self._inner.finish()

    def cut(self, note: bytes, counts: bytes) -> bytes:
        """The events that end the answer here."""
        return self._inner.feed(self.running.cut(note, counts)) + self._inner.finish()

    def end(self, note: bytes, counts: bytes) -> bytes:
        """The same; `note` is left out, since nothing of the chunks is there any more."""
        return self.cut(b"", counts)


def of(call: Call, native: bool, inner: Passing) -> RunningRelay | Translated:
    """The relay of this call's running stream. `native`: the caller speaks the backend's format, else `inner`
    translates.
    """
    if native:
        return RunningRelay(
            hide_usage=not call.asks_usage,
            show_running=shows_usage(call),
            choices=call.choices,
            texts=call.endpoint == "completions",
        )
    running = RunningRelay(hide_usage=False, show_running=True, choices=1, texts=False)
    return Translated(running, inner)


def counter() -> RunningRelay:
    """For a stream that nobody hears, whose usage is all that matters."""
    return RunningRelay(hide_usage=True, show_running=True, choices=1, texts=False)
