"""gateway.config.from_litellm.report"""

from __future__ import annotations

from gateway.config.from_litellm import report
from gateway.config.from_litellm.report import Report
from gateway.config.nodes import Node, from_yaml


def test_a_line_says_where_which_and_why() -> None:
    said = Report()
    node = from_yaml("a:\n  b: 1", "config.yaml").value["a"].value["b"]
    said.lost(node, ("a", 0, "b.c", "a_very_long_name_of_a_setting_that_no_one_can_guess"), "no use")
    [line] = said.losses
    assert str(line) == 'config.yaml:2: a[0]."b.c".a_very_long_name_of_a_setting_that_no_one_can_guess: no use'


def test_a_reference_keeps_its_name_and_a_secret_gets_one_that_is_free() -> None:
    root = from_yaml("[os.environ/OPENAI_API_KEY, secret-a, secret-b, secret-a]", "f")
    said = Report(root)
    names = [said.secret(node, (), "openai_API_KEY") for node in root.value]
    assert names == ["${OPENAI_API_KEY}", "${OPENAI_API_KEY_2}", "${OPENAI_API_KEY_3}", "${OPENAI_API_KEY_2}"]
    assert list(said.secrets) == ["OPENAI_API_KEY_2", "OPENAI_API_KEY_3"]
    assert "secret-" not in "".join(map(str, said.secrets.values()))


def test_a_value_in_the_environment_is_looked_up_and_may_be_missing() -> None:
    assert report.resolved("os.environ/A", {"A": "x"}) == "x"
    assert report.resolved("os.environ/A", {}) is None
    assert report.resolved("plain", {}) == "plain"
    assert report.resolved(5, {}) is None


def test_maps_are_merged_as_yaml_1_1_does() -> None:
    said = Report()
    root = from_yaml("base: &b {a: 1, c: 1}\nown: {<<: *b, a: 2}\nlist: {<<: [*b, {d: 4}], a: 3}", "f")
    merged = {
        name: {k: v.value for k, v in report.members(root.value[name], (), said).items()} for name in ("own", "list")
    }
    assert merged == {"own": {"a": 2, "c": 1}, "list": {"a": 3, "c": 1, "d": 4}}
    assert said.losses == []


def test_what_is_no_map_or_list_is_told() -> None:
    said = Report()
    assert report.members(Node("x", "f", 1), ("a",), said) == {}
    assert list(report.items(Node("x", "f", 1), ("b",), said)) == []
    assert report.members(None, (), said) == {}
    assert [str(line) for line in said.losses] == ["f:1: a: expected a map", "f:1: b: expected a list"]


def test_names_are_made_of_any_text() -> None:
    assert report.named("Team Ünï / 7") == "Team-n-7"
    assert report.named("...") == "unnamed"
    assert len(report.named("x" * 100)) == 64
    assert report.unused("a", {"a", "a-2"}) == "a-3"
