"""Real chains between an answer and its reader, without the gateway: what the properties of the editors are held to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from gateway.dataplane.outlets import HeldDocument, Judged
from gateway.wire.edits import Channel, Editor, Outcome, Part
from guardrails.settings import chain_of
from guardrails.verdict import Phase
from tests.support.outlets import Asking

BAD: Final = "BAD"
"""In a sentence that the classifier finds."""

ADDRESS: Final = "joe@example.org"
STOP: Final = "stop now"

_BOTH: Final = ["output", "tool_call"]
CHAIN: Final = chain_of(
    "all",
    [
        {"check": "regex", "phase": _BOTH, "action": "mask", "patterns": {"ADDRESS": "joe@example[.]org"}},
        {"check": "regex", "phase": _BOTH, "action": "block", "patterns": {"STOP": STOP}},
        {"check": "toxicity", "phase": "output", "action": "block", "deadline_ms": 100},
    ],
)
"""Masks the address, blocks at the words, and asks whether a sentence is BAD."""


class Screens(Asking):
    """Opens the gateway's own outlets under the chain."""

    def __init__(self) -> None:
        super().__init__(lambda call: 1.0 if BAD in call.need.text else 0.0)

    def open(self, channel: Channel | Part) -> Judged:
        """An `edits.Opening`; of a part of a whole answer the same."""
        rows = CHAIN.rows(Phase(channel.phase))
        if channel.is_json:
            return HeldDocument(lambda: self.outlet(rows), None, channel.tool, ())
        return self.outlet(rows)

    def run(self, editor: Editor, pieces: Iterable[bytes], patience: int = 1) -> bytes:
        """All an editor sends; what is asked is answered every `patience` pieces, and at the end."""
        sent = []
        for number, piece in enumerate(pieces, 1):
            sent.append(editor.feed(piece))
            if number % patience == 0:
                self.answer_all()
                sent.append(editor.more())
        return b"".join(sent) + self.end(editor)


def judged(parts: Sequence[Part]) -> list[Outcome]:
    """What becomes of the parts of a whole answer."""
    screens = Screens()
    return [screens.judged(screens.open(part), part.text) for part in parts]
