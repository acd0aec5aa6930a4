import pytest

from guardrails.check import Nonsense, Sight
from guardrails.checks.schema import SchemaCheck
from guardrails.verdict import Finding

CHECK = SchemaCheck({"type": "object", "properties": {"age": {"maximum": 120}}, "required": ["age"]}, 60)


def codes(text: str, size: int) -> list[str]:
    watch = CHECK.watch()
    steps = [step for at in range(0, len(text), size) for step in watch.feed(text[at : at + size])] + watch.finish()
    assert watch.settled == len(text)
    findings = [step for step in steps if isinstance(step, Finding)]
    assert findings == steps
    assert all(finding.check == CHECK.name and finding.start == 0 for finding in findings)
    return [finding.code for finding in findings]


@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"age": 36}', None),
        ("", None),
        (" ", "no_json"),
        ('{"age": 36', "no_json"),
        ('{"age": 36, "age": 36}', "no_json"),
        ('Here you are: {"age": 36}', "no_json"),
        ("[" * 60, "no_json"),
        ('{"age": 1e999}', "no_json"),
        ('{"age": 121}', "schema"),
        ('{"age": %s}' % ("9" * 50), "schema"),
        ("[]", "schema"),
        ('{"age": 36, "text": "%s"}' % ("x" * 10_000), "too_long"),
    ],
)  # fmt: skip
def test_an_answer_is_one_valid_document_however_it_comes(text: str, code: str | None, size: int) -> None:
    assert codes(text, size) == ([] if code is None else [code])


def test_nothing_is_settled_before_the_end_and_nothing_is_asked() -> None:
    watch = CHECK.watch()
    assert CHECK.sight is Sight.WHOLE
    assert watch.feed('{"age": 36}') == []
    assert watch.settled == 0
    with pytest.raises(Nonsense):
        watch.answer(0, 1)


def test_of_ten_million_characters_no_more_is_kept_than_is_judged() -> None:
    watch = CHECK.watch()
    [finding] = watch.feed("[" * 10_000_000)
    assert finding == Finding("schema", "too_long", 1.0, 0, 61)
    assert watch.feed("]") == watch.finish() == []


def test_a_schema_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="schema: type: "):
        SchemaCheck({"type": "objekt"})
