"""Names of people and places by spaCy's model (the extra `pii`)."""

from importlib.util import find_spec

import pytest

from guardrails.ner import WEIGHTS, load_entities
from guardrails.screen import Screen
from guardrails.settings import chain_of
from guardrails.verdict import Phase

pytestmark = [
    pytest.mark.ner,
    pytest.mark.skipif(not any(map(find_spec, WEIGHTS)), reason="spaCy's English weights are not installed"),
]

TEXT = "My name is Ada Lovelace, I live in London, and my mail is ada@example.org. My brother is John Smith."


@pytest.mark.parametrize("size", [1, 11, 1_000])
def test_names_are_masked_beside_what_has_a_form_however_a_text_comes(size: int) -> None:
    entities = load_entities()
    wanted = ["PERSON", "LOCATION", "EMAIL_ADDRESS"]
    chain = chain_of("mine", [{"check": "pii", "phase": "output", "action": "mask", "entities": wanted}])
    screen = Screen(chain.rows(Phase.OUTPUT))
    out = [screen.feed(TEXT[at : at + size]) for at in range(0, len(TEXT), size)]
    out.append(screen.finish())
    out += [screen.answer(call, entities(call.need.text)) for call in screen.calls()]
    assert (
        "".join(out)
        == "My name is [PERSON], I live in [LOCATION], and my mail is [EMAIL_ADDRESS]. My brother is [PERSON]."
    )
    assert not screen.verdict().failures


def test_texts_that_are_odd_are_read() -> None:
    entities = load_entities()
    for text in ("", " ", "\ud800", "\u200b" * 50, "x" * 20_000, "Ada\x00Lovelace"):
        assert all(0 <= start < end <= len(text) for start, end, *_ in entities(text))
