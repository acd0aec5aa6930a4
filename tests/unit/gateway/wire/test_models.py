"""Models as OpenAI lists them."""

from __future__ import annotations

import json

import pytest

from gateway.wire import models


def test_a_list_has_each_model_once_in_the_order_given() -> None:
    listed = json.loads(models.render_list([("small", False), ("org/large", False)], 1_800_000_000))
    assert listed["object"] == "list"
    assert [each["id"] for each in listed["data"]] == ["small", "org/large"]
    assert listed["data"][0] == {"id": "small", "object": "model", "created": 1_800_000_000, "owned_by": "lockgate"}


def test_one_model_is_told_as_in_the_list() -> None:
    for classic in (False, True):
        (listed,) = json.loads(models.render_list([("org/large", classic)], 5))["data"]
        assert json.loads(models.render_one("org/large", classic, 5)) == listed


def test_a_classic_model_says_so() -> None:
    listed = json.loads(models.render_list([("small", False), ("churn", True)], 5))["data"]
    assert [each.get("kind") for each in listed] == [None, "classic"]


def test_an_empty_list_is_a_list() -> None:
    assert json.loads(models.render_list([], 5)) == {"object": "list", "data": []}


@pytest.mark.parametrize(
    ("rest", "alias"),
    [
        (b"small", "small"),
        (b"org/large", "org/large"),
        (b"org%2Flarge", "org/large"),
        (b"a%20b", "a b"),
        ("ключ".encode(), "ключ"),
        (b"%D0%BA", "к"),
        (b"50%", "50%"),
        (b"%zz", "%zz"),
        (b"%252F", "%2F"),
        (b"", None),
        (b"%ff", None),
    ],
)
def test_an_id_is_read_from_the_raw_path_with_its_slashes(rest: bytes, alias: str | None) -> None:
    assert models.id_of(rest) == alias
