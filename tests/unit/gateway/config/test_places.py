from __future__ import annotations

from gateway.config import nodes
from gateway.config.places import Finding, Places


def places() -> Places:
    known = Places()
    known.root = nodes.from_yaml("server:\n  bind: x\nmodels:\n  m:\n    fallback:\n      - n\n", "a.yaml")
    known.lines["tenants", "t", "keys", "k"] = "keys.jsonl", 7
    known.overridden["server", "bind"] = "--bind"
    return known


def test_an_entry_is_found_where_it_stands() -> None:
    assert places().find(("models", "m", "fallback", 0)) == "a.yaml:6"
    assert places().find(("models", "m")) == "a.yaml:4"
    assert places().find(("tenants", "t", "keys", "k", "hash")) == "keys.jsonl:7"
    assert places().find(("server", "bind")) == "--bind"


def test_what_has_no_line_is_found_at_what_is_around_it() -> None:
    assert places().find(("models", "m", "backend")) == "a.yaml:4"
    assert places().find(("server", "ops")) == "a.yaml:1"
    assert places().find(("telemetry",)) == ""


def test_a_finding_is_one_line_with_both_places() -> None:
    assert places().show(Finding(("models", "m"), "is odd", ("server", "bind"))) == (
        "a.yaml:4: models.m: is odd (see also --bind: server.bind)"
    )
    assert places().show(Finding((), "is odd")) == "is odd"
