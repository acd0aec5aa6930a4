import sys
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from guardrails.schemas import Schema


def test_values_are_held_to_a_schema_and_to_its_formats() -> None:
    schema = Schema({"type": "object", "properties": {"mail": {"format": "email"}}, "required": ["mail"]})
    assert schema.fits({"mail": "ada@example.org"})
    assert not schema.fits({"mail": "ada"})
    assert not schema.fits({})
    assert not Schema({"type": "string"}).fits("\ud800")


def test_a_schema_may_be_any_mapping() -> None:
    assert not Schema(MappingProxyType({"properties": MappingProxyType({"a": {"enum": (1, 2)}})})).fits({"a": 3})


def _deep(times: int) -> Mapping[str, object]:
    schema: dict[str, object] = {}
    for _ in range(times):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"properties": {"a": {"type": "strnig"}}}, "properties.a.type: "),
        ({"type": "strnig"}, "type: "),
        ({"pattern": "("}, "pattern: "),
        ({"pattern": r"(a+)\1"}, "pattern: "),
        ({"pattern": "(?=a)b"}, "pattern: "),
        ({"$ref": "https://example.com/schema.json"}, "disabled"),
        ({"$ref": "file:///etc/hostname"}, "disabled"),
        ({"$schema": "https://example.com/own"}, "Unknown meta-schema"),
        ({"const": float("nan")}, "JSON has no form for"),
        ({"const": object()}, "JSON has no form for"),
        (_deep(100_000), "too deep"),
        (_deep(500), "limit"),
    ],
)
def test_what_is_no_schema_or_needs_the_network_is_refused_with_its_place(
    schema: Mapping[str, object], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        Schema(schema)


def test_patterns_take_linear_time() -> None:
    """A backtracking engine would take 2^60 steps."""
    assert not Schema({"pattern": "^(a|aa)+$"}).fits("a" * 60 + "b")


def test_without_the_library_an_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    with pytest.raises(ValueError, match=r"lockgate\[schema\]"):
        Schema({})
