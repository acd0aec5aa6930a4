import json

import pytest

from guardrails.chain import Chain, Link
from guardrails.checks.entities import pii
from guardrails.jsontext import JsonText
from guardrails.masking import Restoring, Vault
from guardrails.screen import Screen
from guardrails.verdict import Action, Phase

ROWS = Chain("mine", (Link(pii(["EMAIL_ADDRESS", "CREDIT_CARD"])[0], frozenset(Phase), Action.MASK),)).rows(
    Phase.TOOL_CALL
)


def _screened(*pieces: str) -> str:
    document = JsonText(lambda: Screen(ROWS))
    return "".join(map(document.feed, pieces)) + document.finish()


def test_strings_and_numbers_are_masked_and_the_document_stays_one() -> None:
    given = {"to": "joe@x.org", "cards": [4111111111111111, 7, -1.5e3], "joe@y.org": True, "note": 'a "b"\n😀 \\'}
    assert json.loads(_screened(json.dumps(given))) == {
        "to": "[EMAIL_ADDRESS]",
        "cards": ["[CREDIT_CARD]", 7, -1500.0],
        "[EMAIL_ADDRESS]": True,
        "note": 'a "b"\n😀 \\',
    }


def test_an_escape_hides_nothing() -> None:
    assert _screened('{"to": "joe\\u0040x.org"}') == '{"to": "[EMAIL_ADDRESS]"}'


DOCUMENT = (
    '{"a": "joe\\u0040x.org \\ud83d\\ude00 \\ud83d \\n\\"", "n": [4111111111111111, 12], "b": "\\uZZ", "é": "x@y.z'
)


@pytest.mark.parametrize(
    "document", [DOCUMENT, DOCUMENT + '"}', "no json: joe@x.org", '"', "[[[", "4111111111111111", ""]
)
def test_what_a_document_becomes_does_not_depend_on_its_pieces(document: str) -> None:
    whole = _screened(document)
    assert "joe" not in whole or document.startswith("no json")
    for at in range(len(document) + 1):
        assert _screened(document[:at], document[at:]) == whole
    assert _screened(*document) == whole


def test_values_are_restored_within_strings_with_what_json_escapes() -> None:
    vault = Vault(bytes(32), "acme", "c1")
    placeholder = vault.placeholder("NAME", 'Jo "the\\n" é')
    document = JsonText(lambda: Restoring(vault))
    out = document.feed(json.dumps({"to": f"<{placeholder}>"})) + document.finish()
    assert json.loads(out) == {"to": '<Jo "the\\n" é>'}
