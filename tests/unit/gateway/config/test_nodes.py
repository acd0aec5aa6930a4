from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import nodes
from gateway.config.nodes import Node, Unreadable


def plain(node: Node) -> Any:
    match node.value:
        case dict():
            return {key: plain(child) for key, child in node.value.items()}
        case list():
            return [plain(child) for child in node.value]
    return node.value


def test_every_value_knows_its_line_and_file() -> None:
    root = nodes.from_yaml("a: 1\nb:\n  - x\n  - {c: 2}\n", "f.yaml")
    assert plain(root) == {"a": 1, "b": ["x", {"c": 2}]}
    assert root.value["b"].value[1].value["c"].place == "f.yaml:4"
    assert root.key_place("b") == "f.yaml:2"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("010", 10),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("-5", -5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("true", True),
        ("~", None),
        ("", None),
        ("'5'", "5"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("2027-06-30", "2027-06-30"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("20%", "20%"),
        ("|\n  5", "5"),
    ],
)
def test_scalars_mean_what_they_look_like(written: str, value: object) -> None:
    assert plain(nodes.from_yaml(f"a: {written}", "f"))["a"] == value


def test_a_number_of_thousands_of_digits_is_no_work_and_no_crash() -> None:
    assert plain(nodes.from_yaml("a: " + "9" * 5000, "f"))["a"] == float("inf")


def test_an_empty_text_is_a_null() -> None:
    assert nodes.from_yaml("# nothing\n", "f").value is None


def test_an_alias_is_the_value_of_its_anchor() -> None:
    assert plain(nodes.from_yaml("a: &x {b: [1]}\nc: *x", "f")) == {"a": {"b": [1]}, "c": {"b": [1]}}


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("a: 1\nb: 2\na: 3", 3, 'the key "a" is there twice, first on line 1'),
        ("a: {b: 1, b: 2}", 1, "there twice"),
        ("a:\n\tb: 1", 2, "indent with spaces"),
        ("a: [", 2, "expected"),
        ("a: 'x", 1, "unexpected end"),
        ("a: b: c", 1, "not allowed"),
        ("a: 1\n---\nb: 2", 2, "a second document"),
        ("a: *x", 1, "no anchor"),
        ("a: &x [*x]", 1, "inside it"),
        ("x: !!python/object:os.system y", 1, "the tag"),
        ("x: !!binary aGk=", 1, "the tag"),
        ("? [a]\n: b", 1, "a key must be plain text"),
        ("? {a: b}\n: c", 1, "a key must be plain text"),
        ("a: &x 1\n*x : 2", 2, "a key must be plain text"),
        ("[" * 5000, 1, "nested deeper"),
        ("- " * 5000 + "a", 1, "nested deeper"),
        ("{a: " * 5000, 1, "nested deeper"),
        ("a: \x07", 1, "not YAML"),
        ("\x00", 1, "not YAML"),
    ],
)
def test_what_is_not_our_yaml_is_refused_with_its_line(text: str, line: int, told: str) -> None:
    with pytest.raises(Unreadable, match=told) as error:
        nodes.from_yaml(text, "f")
    assert error.value.line == line


def test_aliases_of_aliases_do_not_unfold_into_memory() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n"
    with pytest.raises(Unreadable, match="what aliases unfold to"):
        nodes.from_yaml(bomb, "f")


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(Unreadable):  # and no other exception
        nodes.from_yaml(text, "f")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("abc: -[]{}#&*!|>'\"%@`,?\n\\", max_size=9),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc-", min_size=1), inner, max_size=4),
        max_leaves=12,
    )
)
def test_json_means_the_same_read_as_yaml_or_as_json(value: Any) -> None:
    import json

    text = json.dumps(value)
    assert plain(nodes.from_yaml(text, "f")) == plain(nodes.from_json(text, "f", 1)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"a": 1, "a": 2}',
        "[" * 100_000,
        "1" * 5000,
        "NaN",
        "-Infinity",
        '{"a":' * 30 + "1" + "}" * 30,
        '"\\ud800"',
    ],
)
def test_what_is_not_our_json_is_refused(text: str) -> None:
    with pytest.raises(Unreadable) as error:
        nodes.from_json(text, "f", 7)
    assert error.value.line == 7
