"""The body's fields against Python's own parser, for any JSON and any way of writing it down."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequest
from gateway.wire import body

texts = st.text(st.characters(codec="utf-8"), max_size=8)
names = st.one_of(st.sampled_from(["a", "b", "model", "", "é", '"', "\\", "a\n"]), texts)
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        texts,
        st.sampled_from(["", ', "a": 1', '"a":1,', "}", "\\", 1, 12, 123]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=3)),
    max_leaves=8,
)
spaces = st.text(" \t\r\n", max_size=2)


@st.composite
def written_names(draw: st.DrawFn) -> str:
    """A name as JSON, each character escaped or not."""
    name = draw(names)
    if draw(st.booleans()):
        return json.dumps(name, ensure_ascii=draw(st.booleans()))
    units = name.encode("utf-16-be")
    return '"' + "".join(f"\\u{units[at]:02x}{units[at + 1]:02X}" for at in range(0, len(units), 2)) + '"'


@st.composite
def objects(draw: st.DrawFn) -> bytes:
    """An object as someone may write it: with repeated names, escapes, and any space (or one kind throughout)."""
    pairs = draw(st.lists(st.tuples(written_names(), values), max_size=6))
    style = draw(st.sampled_from([(",", ":", ""), (", ", ": ", ""), None]))
    parts: list[str] = []
    for name, value in pairs:
        written = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, None, 1])))
        if style is None:
            parts.append(f"{draw(spaces)}{name}{draw(spaces)}:{draw(spaces)}{written}{draw(spaces)}")
        else:
            parts.append(f"{name}{style[1]}{written}")
    around = draw(spaces) if style is None else ""
    inside = around if not parts else ""
    return f"{around}{{{inside}{(',' if style is None else style[0]).join(parts)}}}{around}".encode()


def pairs_of(text: bytes) -> list[tuple[str, Any]]:
    pairs: list[list[tuple[str, Any]]] = []

    def keep(found: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs.append(found)
        return dict(found)

    json.loads(text, object_pairs_hook=keep)
    return pairs[-1]  # the outermost object is closed last


def with_more(text: bytes, more: list[bytes]) -> bytes:
    """The object with strings of these texts added as fields at its beginning and its end, so that it is large."""
    added = [b'"more%d":"%b"' % (at, inside) for at, inside in enumerate(more)]
    own = [text.strip()[1:-1].strip()] if pairs_of(text) else []
    return b"{" + b",".join(added[::2] + own + added[1::2]) + b"}"


fillers = st.sampled_from(
    [b"x" * 400_000, b"y" * 5_000, b'\\"' * 3_000, b"\\\\" * 3_000, b"{[,:" * 2_000, b"z\\n" * 9_000]
)


@given(objects(), st.lists(fillers, max_size=4))
def test_fields_agree_with_json_and_a_repeated_name_is_always_seen(text: bytes, more: list[bytes]) -> None:
    if more:
        text = with_more(text, more)
    pairs = pairs_of(text)
    seen = [name for name, _ in pairs]
    if len(set(seen)) < len(seen):
        with pytest.raises(InvalidRequest, match="more than once"):
            body.fields(text)
        return
    found = body.fields(text)
    assert list(found) == seen
    assert [json.loads(bytes(raw)) for raw in found.values()] == [value for _, value in pairs]
    for raw in found.values():
        assert bytes(raw) in text


@given(objects(), st.dictionaries(names, values, max_size=3))
def test_joining_changes_what_it_was_told_to_and_nothing_else(text: bytes, changes: dict[str, Any]) -> None:
    try:
        found = body.fields(text)
    except InvalidRequest:
        return
    joined = body.join(found, {name: json.dumps(value).encode() for name, value in changes.items()})
    assert json.loads(joined) == {**json.loads(text), **changes}
    assert list(json.loads(joined)) == list({**json.loads(text), **changes})
    again = body.fields(joined)
    assert all(bytes(again[name]) == bytes(raw) for name, raw in found.items() if name not in changes)


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_a_refusal(text: bytes) -> None:
    try:
        body.fields(text)
    except InvalidRequest:
        return
    assert isinstance(json.loads(text.decode("utf-8", "replace")), dict)


@given(objects(), st.data())
def test_a_damaged_body_is_fields_or_a_refusal(text: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:at] + data.draw(st.binary(max_size=2)) + text[at + data.draw(st.integers(0, 2)) :]
    try:
        body.fields(damaged)
    except InvalidRequest:
        return
    seen = [name for name, _ in pairs_of(damaged.decode("utf-8", "replace").encode())]
    assert len(set(seen)) == len(seen)
