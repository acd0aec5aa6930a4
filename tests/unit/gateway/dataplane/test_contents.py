"""How masked values stay out of what is kept. All of it is asked over sockets (tests/integration/test_contents)."""

from __future__ import annotations

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.dataplane.contents import Hiding
from guardrails.masking import Vault

TEXT = "Write to joe@example.org, or to joe."


def vault() -> Vault:
    made = Vault(b"k" * 32, "acme", "c1")
    for value in ("joe", "joe@example.org", 'a "b"'):
        made.placeholder("NAME", value)
    return made


@given(st.lists(st.integers(0, len(TEXT)), max_size=6))
def test_no_cut_of_a_text_lets_a_value_through(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(TEXT)]
    hiding = Hiding(vault(), is_json=False)
    said = "".join(hiding.feed(TEXT[begin:end]) for begin, end in itertools.pairwise(places))
    said += hiding.more() + hiding.finish()
    assert vault().restored(said) == TEXT
    assert "joe" not in said


def test_of_a_json_document_the_strings_are_hidden_and_it_stays_one() -> None:
    hiding = Hiding(vault(), is_json=True)
    said = hiding.feed(json.dumps({"to": ['a "b"', TEXT]})) + hiding.finish()
    found = json.loads(said)["to"]
    assert "joe" not in said
    assert [vault().restored(text) for text in found] == ['a "b"', TEXT]
