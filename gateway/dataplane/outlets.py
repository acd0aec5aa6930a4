"""Where a text goes on its way through a chain: a screen whose needs are met as they come, and what puts masked values
back. Used for requests, whole answers and streams alike, so that none is judged otherwise (`screening`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from gateway.wire import documents
from guardrails.chain import Row
from guardrails.checks.tools import ToolPolicy
from guardrails.holdback import Mask
from guardrails.jsontext import JsonText
from guardrails.masking import Restoring, Vault
from guardrails.screen import Call, Screen
from guardrails.verdict import Action, Finding, Ruling, Verdict

Told = Callable[[object | None, str], None]
Ask = Callable[[Call, Told], None]
"""Meets a need: tells the answer, or why there is none; later, never before it returns."""
Changed = Callable[[], None]
"""Told whenever answers came."""


class Judged(Protocol):
    """An outlet (`wire.edits.Outlet`) that tells what was found."""

    @property
    def blocked(self) -> bool: ...

    @property
    def waits(self) -> bool: ...

    @property
    def heard_bytes(self) -> int:
        """How much it was fed, as UTF-8: no fewer than the tokens that said it."""

    def feed(self, text: str) -> str: ...

    def more(self) -> str: ...

    def finish(self) -> str: ...

    def verdict(self) -> Verdict: ...


class ScreenOutlet:
    """One text through one screen."""

    __slots__ = ("_ask", "_changed", "_freed", "_screen", "heard_bytes")

    def __init__(self, rows: Sequence[Row], mask: Mask, ask: Ask, changed: Changed) -> None:
        self._screen: Final = Screen(rows, mask)
        self._ask: Final = ask
        self._changed: Final = changed
        self._freed = ""
        self.heard_bytes = 0

    @property
    def blocked(self) -> bool:
        return self._screen.blocked

    @property
    def waits(self) -> bool:
        return self._screen.waits

    def feed(self, text: str) -> str:
        self.heard_bytes += _bytes(text)
        out = self._screen.feed(text)
        self._perform()
        return out

    def finish(self) -> str:
        out = self._screen.finish()
        self._perform()
        return out

    def more(self) -> str:
        freed, self._freed = self._freed, ""
        return freed

    def verdict(self) -> Verdict:
        return self._screen.verdict()

    def _perform(self) -> None:
        for call in self._screen.calls():
            self._ask(call, self._teller(call))

    def _teller(self, call: Call) -> Told:
        def told(value: object | None, failure: str) -> None:
            self._freed += self._screen.fail(call, failure) if failure else self._screen.answer(call, value)
            self._perform()
            self._changed()

        return told


class StreamedDocument:
    """A JSON document whose strings and numbers are only ever masked, so that it can leave as it comes."""

    __slots__ = ("_screens", "_text", "heard_bytes")

    def __init__(self, rows: Sequence[Row], mask: Mask) -> None:
        self.heard_bytes = 0
        self._screens: Final[list[Screen]] = []
        self._text: Final = JsonText(lambda: self._string(rows, mask))

    def _string(self, rows: Sequence[Row], mask: Mask) -> Screen:
        screen = Screen(rows, mask)
        self._screens.append(screen)
        return screen

    @property
    def blocked(self) -> bool:
        return any(screen.blocked for screen in self._screens)

    @property
    def waits(self) -> bool:
        return False

    def feed(self, text: str) -> str:
        self.heard_bytes += _bytes(text)
        return self._text.feed(text)

    def more(self) -> str:
        return ""

    def finish(self) -> str:
        return self._text.finish()

    def verdict(self) -> Verdict:
        return _joined([screen.verdict() for screen in self._screens])


class HeldDocument:
    """A JSON document that is held until it is whole: what is found may block it, or a policy says whether its tool may
    be called with it. It is delivered whole or not at all. What is no JSON is judged as one text.
    """

    __slots__ = ("_begin", "_document", "_refused", "_results", "_texts", "_tool", "_tools", "_whole", "heard_bytes")

    def __init__(
        self, begin: Callable[[], ScreenOutlet], tools: ToolPolicy | None, tool: str, results: Sequence[str]
    ) -> None:
        """`results`: the tools whose results the model has read since the caller last spoke."""
        self._begin: Final = begin
        self._tools: Final = tools
        self._tool: Final = tool
        self._results: Final = results
        self._whole: list[str] = []
        self.heard_bytes = 0
        self._texts: list[tuple[ScreenOutlet, list[str]]] | None = None
        self._document: documents.Document | None = None
        self._refused = "" if tools is None else tools.refusal_by_name(tool, results) or ""

    @property
    def blocked(self) -> bool:
        return bool(self._refused) or any(outlet.blocked for outlet, _ in self._texts or ())

    @property
    def waits(self) -> bool:
        return not self.blocked and any(outlet.waits for outlet, _ in self._texts or ())

    def feed(self, text: str) -> str:
        self.heard_bytes += _bytes(text)
        if not self.blocked:
            self._whole.append(text)
        return ""

    def finish(self) -> str:
        if self.blocked:
            return ""
        whole = "".join(self._whole)
        if self._tools is not None:
            self._refused = self._tools.refusal(self._tool, whole, self._results) or ""
        document = self._document = documents.Document(whole)
        self._texts = []
        for text in document.texts:
            outlet = self._begin()
            self._texts.append((outlet, [outlet.feed(text), outlet.finish()]))
        return self.more()

    def more(self) -> str:
        if self._texts is None:
            return ""
        for outlet, said in self._texts:
            said.append(outlet.more())
        if self.blocked or self.waits:
            return ""
        document, self._document = self._document, None
        return "" if document is None else document.said(["".join(said) for _, said in self._texts])

    def verdict(self) -> Verdict:
        found = _joined([outlet.verdict() for outlet, _ in self._texts or ()])
        return ruled(self._refused, found, enforced=True)


def ruled(code: str | None, found: Verdict, *, enforced: bool) -> Verdict:
    """What was found in a call's text, and why its tool may not be called; nothing: it may."""
    if not code:
        return found
    return Verdict((*found.rulings, Ruling(Finding("tools", code, 1.0, 0, 0), Action.BLOCK, enforced)), found.failures)


class Around:
    """An outlet around another, which judges."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Judged) -> None:
        self._inner: Final = inner

    @property
    def blocked(self) -> bool:
        return self._inner.blocked

    @property
    def waits(self) -> bool:
        return self._inner.waits

    @property
    def heard_bytes(self) -> int:
        return self._inner.heard_bytes

    def feed(self, text: str) -> str:
        return self._inner.feed(text)

    def more(self) -> str:
        return self._inner.more()

    def finish(self) -> str:
        return self._inner.finish()

    def verdict(self) -> Verdict:
        return self._inner.verdict()


class Restored(Around):
    """An outlet behind which masked values are put back: what passed the checks, as the caller knows it."""

    __slots__ = ("_ended", "_restoring")

    def __init__(self, inner: Judged, vault: Vault, *, is_json: bool) -> None:
        super().__init__(inner)
        self._restoring: Final = JsonText(lambda: Restoring(vault)) if is_json else Restoring(vault)
        self._ended = False

    def feed(self, text: str) -> str:
        return self._put_back(self._inner.feed(text))

    def more(self) -> str:
        return self._put_back(self._inner.more(), ends=self._ended)

    def finish(self) -> str:
        self._ended = True
        return self._put_back(self._inner.finish(), ends=True)

    def _put_back(self, text: str, *, ends: bool = False) -> str:
        out = self._restoring.feed(text)
        if self._inner.blocked or (ends and not self._inner.waits):
            out += self._restoring.finish()
        return out


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _joined(verdicts: Sequence[Verdict]) -> Verdict:
    rulings = tuple(ruling for verdict in verdicts for ruling in verdict.rulings)
    return Verdict(rulings, tuple(failure for verdict in verdicts for failure in verdict.failures))
