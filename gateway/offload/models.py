"""What is loaded in the check process, and asked: by kind and name, each once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol, runtime_checkable

from gateway.offload.frames import LATE, Broken, Question, unpacked
from gateway.offload.lanes import Unanswered
from guardrails.checks.asked import OVERLAP
from guardrails.classifiers import load
from guardrails.presidio import load_recogniser

PIECE: Final = 20_000
"""Characters scored at once. A check asks for no more, unless it is told to; what takes longer could not be left off
when its deadline has passed."""

Judge = Callable[[str], object]
"""A text → the answer to a need."""
Loader = Callable[[str], Judge]
"""A name → what judges. Raises ValueError, ImportError or OSError, whose message says what is missing."""
Asked = tuple[str, str]
"""Kind and name, as in `guardrails.check.Need`."""


@runtime_checkable
class ReadsTogether(Protocol):
    """A judge for which several texts at once are less work than one after the other."""

    def __call__(self, text: str) -> object: ...

    def all(self, texts: Sequence[str]) -> Sequence[object]:
        """The answer for each text: the same as it would be alone."""


def classifier(name: str) -> Judge:
    """A `Loader`: the classifiers that come with the package."""
    return load(name).score


def entities(name: str) -> Judge:
    """A `Loader`: what finds the entities that are named, with commas between them."""
    return load_recogniser(name.split(","))


LOADERS: Final[Mapping[str, Loader]] = {"classifier": classifier, "entities": entities}
"""By kind."""


class Models:
    """Thread-safe: what is asked for before it was loaded is loaded then."""

    def __init__(self, loaders: Mapping[str, Loader]) -> None:
        """`loaders`: by kind."""
        self._loaders = loaders
        self._judges: dict[Asked, Judge] = {}
        self._missing: dict[Asked, str] = {}
        self._loading = threading.Lock()

    def load(self, wanted: Iterable[Asked]) -> list[str]:
        """Loads what is not there yet; returns what cannot be loaded, with the reason, which may have changed since it
        was last tried."""
        self._missing.clear()
        found = {asked: self._judge(asked) for asked in sorted(wanted)}
        return [f"{kind} {name}: {self._missing[kind, name]}" for (kind, name), judge in found.items() if judge is None]

    def answer(self, question: Question) -> object:
        """The work of a lane. Raises `Unanswered`."""
        judge = self._judge((question.kind, question.name))
        if judge is None:
            raise Unanswered
        try:
            text = unpacked(question.text)
        except Broken:
            raise Unanswered from None
        if len(text) <= PIECE:
            return judge(text)
        if question.kind != "classifier":
            raise Unanswered  # what is said of pieces is not what would be said of the whole
        return self._worst(judge, text, question.until_s)

    def answer_all(self, questions: Sequence[Question]) -> Sequence[object]:
        """The work of a lane: short texts, all for one judge. Raises whatever it would raise for any of them."""
        judge = self._judge((questions[0].kind, questions[0].name))
        if not isinstance(judge, ReadsTogether):
            return [self.answer(question) for question in questions]
        return judge.all([unpacked(question.text) for question in questions])

    @staticmethod
    def _worst(judge: Judge, text: str, until_s: float) -> float:
        """The highest score of the pieces of a text, as long as somebody waits for it."""
        worst = 0.0
        for at in range(0, len(text) - OVERLAP, PIECE - OVERLAP):
            if time.monotonic() >= until_s:
                raise Unanswered(LATE)
            score = judge(text[at : at + PIECE])
            assert isinstance(score, float)
            worst = max(worst, score)
        return worst

    def _judge(self, asked: Asked) -> Judge | None:
        judge = self._judges.get(asked)
        if judge is not None or asked in self._missing:
            return judge
        kind, name = asked
        loader = self._loaders.get(kind)
        with self._loading:
            if asked in self._judges:
                return self._judges[asked]
            if loader is None:
                self._missing[asked] = "not answered here"
                return None
            try:
                judge = self._judges[asked] = loader(name)
            except (ValueError, ImportError, OSError) as error:
                self._missing[asked] = str(error)
            return judge
