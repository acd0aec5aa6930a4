"""Entities of a text by Presidio's analyzer (the extra `pii`): names of people, places and organisations by spaCy's
small English model, identifiers of countries by Presidio's own recognisers.

Not for a gateway's worker: 150 MB, two seconds to import, and tens of milliseconds a call. Nothing is fetched: the
pipeline is handed to Presidio loaded, and its recogniser of e-mail addresses, which would fetch a list of domains, is
not among those that are made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, Final

from guardrails.checks.identifiers import IDENTIFIERS
from guardrails.ner import LABELS, NAMED, UNCERTAIN, pipeline
from guardrails.normalise import Canonical, canonical

Entity = tuple[int, int, str, float]
"""Start and end in characters, the entity by Presidio's name, and a score."""

_LANGUAGE: Final = "en"
"""What all recognisers are told a text is in: they find by form and by words beside it, whatever it is in."""
_TOGETHER: Final = 32
"""Texts that the model reads at a time."""
_NO_NAMES: Final = frozenset(
    {
        *(
            "ABN",
            "API",
            "ATM",
            "BIC",
            "CVV",
            "DNS",
            "IBAN",
            "ID",
            "IP",
            "MAC",
            "NIE",
            "NIF",
            "NINO",
            "NRIC",
            "PAN",
            "PIN",
        ),
        *("SSN", "SWIFT", "TFN", "TIN", "URL", "VAT", "ZIP"),
    }
)
"""What an identifier is called, which the model takes for an organisation."""
_HALVES: Final = re.compile("[\ud800-\udfff]")


class Recogniser:
    """Finds entities in texts. Of one thread at a time."""

    def __init__(self, entities: Sequence[str]) -> None:
        self._entities = list(entities)
        self._analyzer = _analyzer(tuple(entities))

    def __call__(self, text: str) -> list[Entity]:
        """Of a text of at most a million characters."""
        return self.all([text])[0]

    def all(self, texts: Sequence[str]) -> list[list[Entity]]:
        """Of each of these texts. A third cheaper than one after the other, and the same."""
        shown = [canonical(text) for text in texts]
        read = [_HALVES.sub("?", each.text) for each in shown]
        found = self._analyzer.analyze_iterator(read, _LANGUAGE, batch_size=_TOGETHER, entities=self._entities)
        return [_placed(each, results) for each, results in zip(shown, found, strict=True)]


def load_recogniser(entities: Iterable[str]) -> Recogniser:
    """What finds these entities. Loads for seconds, the first time. Raises ImportError that names what to install, and
    ValueError for an entity that is not known here.
    """
    wanted = sorted(set(entities))
    unknown = [entity for entity in wanted if entity not in NAMED and entity not in IDENTIFIERS]
    if unknown or not wanted:
        raise ValueError(f"no recogniser of {', '.join(unknown) or 'nothing'} is here")
    return Recogniser(wanted)


def _placed(shown: Canonical, results: Iterable[Any]) -> list[Entity]:
    """Places in the text as it came."""
    found = [
        (*shown.span(each.start, each.end), str(each.entity_type), float(each.score))
        for each in results
        if shown.text[each.start : each.end] not in _NO_NAMES
    ]
    return sorted(each for each in found if each[0] < each[1])


def _analyzer(entities: tuple[str, ...]) -> Any:
    names = [entity for entity in entities if entity in NAMED]
    read = pipeline(bool(names))
    presidio = _presidio()
    recognisers = [_identifier(presidio, entity) for entity in entities if entity in IDENTIFIERS]
    if names:
        recognisers.append(presidio.predefined_recognizers.SpacyRecognizer(supported_entities=names))
    engine = presidio.nlp_engine.SpacyNlpEngine(ner_model_configuration=_named(presidio))
    engine.nlp = {_LANGUAGE: read}
    registry = presidio.RecognizerRegistry(recognizers=recognisers, supported_languages=[_LANGUAGE])
    return presidio.BatchAnalyzerEngine(presidio.AnalyzerEngine(registry=registry, nlp_engine=engine))


def _presidio() -> Any:
    try:
        presidio = import_module("presidio_analyzer")
        tldextract: Any = import_module("tldextract")
    except ModuleNotFoundError as error:
        raise ImportError(f"entities of pii need {error.name}: pip install 'lockgate[pii]'") from error
    # Nothing made here asks it. If something did, it would answer from the list that comes with it, and fetch none.
    tldextract.extract = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())
    return presidio


def _identifier(presidio: Any, entity: str) -> Any:
    return getattr(presidio.predefined_recognizers, IDENTIFIERS[entity])(supported_language=_LANGUAGE)


def _named(presidio: Any) -> Any:
    """What the model's labels are called, and how far they are trusted."""
    return presidio.nlp_engine.NerModelConfiguration(
        model_to_presidio_entity_mapping=LABELS,
        labels_to_ignore=[
            *("CARDINAL", "DATE", "EVENT", "LANGUAGE", "LAW", "MONEY", "ORDINAL", "PERCENT", "PRODUCT", "QUANTITY"),
            *("TIME", "WORK_OF_ART"),
        ],
        low_score_entity_names=[UNCERTAIN],
        low_confidence_score_multiplier=0.5,
    )
