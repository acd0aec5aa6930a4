"""The texts of a JSON document: its strings, names and numbers, to be read and said again with other words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

_DEEPEST: Final = 200
"""A document that is nested deeper is one text."""


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


class Document:
    """`texts` in their order; what is no JSON is one text."""

    __slots__ = ("_value", "texts", "whole")

    def __init__(self, whole: str) -> None:
        self.whole: Final = whole
        try:
            self._value: object = json.loads(
                whole, object_pairs_hook=_Object, parse_int=_Number, parse_float=_Number, parse_constant=_Number
            )
            self.texts = list(_texts(self._value))
        except (ValueError, RecursionError):
            self._value = whole
            self.texts = [whole] if whole else []

    def said(self, texts: Sequence[str]) -> str:
        """The document with these in place of `texts`. A number that became another text is a string now."""
        if list(texts) == self.texts:
            return self.whole
        if self._value is self.whole:
            return "".join(texts)
        return _said(self._value, iter(texts))


class _Object:
    """Names and values in order, a name that is there twice too."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        self.pairs: Final = pairs


def _texts(value: object, depth: int = 0) -> Iterator[str]:
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(value, str):
        yield str(value)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, depth + 1)
    elif isinstance(value, _Object):
        for name, each in value.pairs:
            yield name
            yield from _texts(each, depth + 1)


def _said(value: object, texts: Iterator[str]) -> str:
    if isinstance(value, str):
        text = next(texts)
        return text if isinstance(value, _Number) and text == value else json.dumps(text)
    if isinstance(value, list):
        return f"[{', '.join([_said(each, texts) for each in value])}]"
    if isinstance(value, _Object):
        members = [f"{json.dumps(next(texts))}: {_said(each, texts)}" for _, each in value.pairs]
        return f"{{{', '.join(members)}}}"
    return json.dumps(value)
