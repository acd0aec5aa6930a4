"""Whether an answer is one JSON document that is valid against a schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from guardrails.check import Nonsense, Sight, Step
from guardrails.documents import Unreadable, read
from guardrails.schemas import Schema
from guardrails.verdict import Finding

NAME: Final = "schema"
NO_JSON: Final = "no_json"
INVALID: Final = "schema"
TOO_LONG: Final = "too_long"


class SchemaCheck:
    """Finds whole texts that are no such document. A text without a character is none, and nothing is found."""

    __slots__ = ("most", "name", "schema", "sight")

    def __init__(self, schema: Mapping[str, object], most: int = 200_000) -> None:
        """`most` is how many characters are read. Raises ValueError for a schema that is none."""
        self.name: Final = NAME
        self.sight: Final = Sight.WHOLE
        self.most: Final = most
        try:
            self.schema: Final = Schema(schema)
        except ValueError as error:
            raise ValueError(f"schema: {error}") from error

    def watch(self) -> SchemaWatch:
        return SchemaWatch(self.schema, self.most)


class SchemaWatch:
    """The check at work."""

    __slots__ = ("_most", "_read", "_schema", "_text", "settled")

    def __init__(self, schema: Schema, most: int) -> None:
        self._schema: Final = schema
        self._most: Final = most
        self._text: list[str] = []
        self._read = 0
        self.settled = 0

    def feed(self, text: str) -> Step:
        was, self._read = self._read, self._read + len(text)
        if self._read <= self._most:
            self._text.append(text)
        elif was <= self._most:
            self._text = []  # it will not be judged
            return [Finding(NAME, TOO_LONG, 1.0, 0, self._most + 1)]
        return []

    def finish(self) -> Step:
        self.settled = self._read
        flaw = self._flaw("".join(self._text))
        return [Finding(NAME, flaw, 1.0, 0, self._read)] if flaw else []

    def answer(self, number: int, value: object) -> Step:
        raise Nonsense(f"{NAME} asked nothing, and was answered {number}")

    def _flaw(self, text: str) -> str | None:
        if not text:
            return None
        try:
            document = read(text)
        except Unreadable:
            return NO_JSON
        return None if self._schema.fits(document) else INVALID
