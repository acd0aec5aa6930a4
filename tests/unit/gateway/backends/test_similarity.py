"""The model itself is the embedding server's: tests/integration/test_embedded_embeddings.py."""

import json
from collections.abc import Sequence
from typing import cast

import pytest

from gateway.backends import embedded_models, similarity
from gateway.backends.embedded_embeddings import Encoder
from gateway.backends.similarity import Similarity, load

np = pytest.importorskip("numpy")


class Letters:
    """Counts of a and b in a text as its direction."""

    def __init__(self) -> None:
        self.encoded = 0

    def tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        return [[text.count("a"), text.count("b")] for text in texts]

    def encode(self, rows: Sequence[list[int]]) -> list[bytes]:
        self.encoded += len(rows)
        return [(np.array(row) / np.linalg.norm(row)).astype("<f4").tobytes() for row in rows]


def made() -> tuple[Letters, Similarity]:
    letters = Letters()
    return letters, Similarity(cast("Encoder", letters))


def test_each_phrase_has_its_cosine_and_is_encoded_once() -> None:
    letters, near = made()
    assert near(json.dumps(["a", "aa", "b", "ab", "aa"])) == pytest.approx([1, 0, 0.7071, 1], abs=1e-4)
    assert letters.encoded == 4
    assert near(json.dumps(["bb", "b", "a\ud800"])) == pytest.approx([1, 0], abs=1e-4)
    assert letters.encoded == 6


def test_phrases_are_forgotten_before_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "MOST_KEPT", 2)
    letters, near = made()
    for _ in range(2):
        assert near(json.dumps(["a", "a", "b"])) == [1, 0]
        assert near(json.dumps(["a", "b", "ab"])) == pytest.approx([0, 0.7071], abs=1e-4)
    assert letters.encoded > 8


def test_what_is_no_embedding_model_is_refused() -> None:
    with pytest.raises(ValueError, match="not an embedding model"):
        load("smollm2-135m")
    with pytest.raises(ValueError, match="not known"):
        load("maxilm")


@pytest.mark.skipif(embedded_models.missing("minilm") is not None, reason="the embedding model is not installed")
def test_a_text_is_nearer_to_what_it_is_about() -> None:
    near = load("minilm")
    elections, goods = near(json.dumps(["Who will win the vote?", "politics and elections", "returning goods"]))
    assert elections > goods + 0.1
