"""That Presidio has them all, and no others: tests/integration/test_ner.py."""

from guardrails.checks.identifiers import COUNTRIES, IDENTIFIERS
from guardrails.checks.pii import ENTITIES
from guardrails.ner import NAMED


def test_each_entity_is_of_one_country_and_found_in_one_way() -> None:
    assert sum(map(len, COUNTRIES.values())) == len(IDENTIFIERS)
    assert not IDENTIFIERS.keys() & (ENTITIES | NAMED)
