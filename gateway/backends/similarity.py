"""How near texts are to phrases, by a small embedding model in this process: what the check `topics` asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

from gateway.backends import embedded_models
from gateway.backends.embedded_embeddings import MAX_INPUT_TOKENS, Encoder
from gateway.errors import ConfigError

MOST_KEPT: Final = 2_000
"""Phrases whose vectors are remembered, 1.5 KB each."""


class Similarity:
    """Blocks while it computes; one thread at a time."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._phrases: dict[str, bytes] = {}

    def __call__(self, question: str) -> list[float]:
        """`[text, phrase, …]` as JSON → the cosine of text and phrase for each phrase."""
        import numpy as np

        text, *phrases = json.loads(question)
        new = [phrase for phrase in dict.fromkeys(phrases) if phrase not in self._phrases]
        vectors = self._vectors([text, *new])
        if len(self._phrases) + len(new) > MOST_KEPT:
            self._phrases.clear()
            new = list(dict.fromkeys(phrases))
            vectors[1:] = self._vectors(new)
        self._phrases.update(zip(new, vectors[1:], strict=True))
        about = np.frombuffer(vectors[0], dtype="<f4")
        return [float(np.frombuffer(self._phrases[phrase], dtype="<f4") @ about) for phrase in phrases]

    def _vectors(self, texts: Sequence[str]) -> list[bytes]:
        whole = [text.encode("utf-8", "replace").decode() for text in texts]  # half a surrogate pair is no text
        rows = [row[:MAX_INPUT_TOKENS] for row in self._encoder.tokenise(whole)]
        return [self._encoder.encode([row])[0] for row in rows]


def load(model: str) -> Callable[[str], list[float]]:
    """What answers. Raises ValueError that says what is missing."""
    try:
        if embedded_models.kind_of(model) != "embeddings":
            raise ConfigError(f"{model} is not an embedding model")
        weights, tokenizer = embedded_models.files_of(model)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return Similarity(Encoder(weights, tokenizer, threads=1))
