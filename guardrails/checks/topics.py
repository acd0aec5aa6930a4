"""What a text is about: by how near it is to phrases that are allowed or denied, as an embedding model sees it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from guardrails.check import Nonsense, Sight, Step
from guardrails.checks.asked import AskedCheck, Beyond
from guardrails.verdict import Finding

NAME: Final = "topics"
DENIED: Final = "denied_topic"
OTHER: Final = "other_topic"
KIND: Final = "similarity"
MODEL: Final = "minilm"
_MOST: Final = 1_000
"""Characters judged at once, some 200 words: of longer texts the model reads no more."""


@dataclass(frozen=True, slots=True)
class TopicsCheck(AskedCheck):
    """Finds parts of a text that are near a denied phrase, or near none that is allowed. It asks for the similarities
    of a text to phrases: JSON, `[text, phrase, …]`; the answer is a number from -1 to 1 for each phrase.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def question(self, text: str) -> str:
        return json.dumps([text, *self.allow, *self.deny])

    def findings(self, value: object, start: int, end: int) -> Step:
        if not isinstance(value, list | tuple) or len(value) != len(self.allow) + len(self.deny):
            raise Nonsense(f"{self.name}: an answer is a list of similarities, one for each phrase")
        near = [_similarity(each) for each in value]
        allowed = max(near[: len(self.allow)], default=1.0)
        denied = max(near[len(self.allow) :], default=-1.0)
        if denied >= self.threshold:
            return [Finding(self.name, DENIED, denied, start, end)]
        return [Finding(self.name, OTHER, 1.0 - max(allowed, 0.0), start, end)] if allowed < self.threshold else []


def _similarity(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and -1.001 <= value <= 1.001:
        return max(-1.0, min(1.0, float(value)))  # a product of unit vectors may be a little more than 1
    raise Nonsense(f"{NAME}: a similarity is a number from -1 to 1")


def topics(
    allow: Iterable[str] = (), deny: Iterable[str] = (), threshold: float = 0.3, model: str = MODEL
) -> TopicsCheck:
    """The check. Judges whole texts, in parts. Raises ValueError without a phrase, and for a blank one."""
    allowed, denied = tuple(allow), tuple(deny)
    if not allowed + denied:
        raise ValueError("names no topic to allow or to deny")
    if not all(phrase.strip() for phrase in allowed + denied):
        raise ValueError("a topic is blank")
    return TopicsCheck(
        NAME, KIND, model, "", threshold, Sight.WHOLE, _MOST, Beyond.SEGMENTS, allow=allowed, deny=denied
    )
