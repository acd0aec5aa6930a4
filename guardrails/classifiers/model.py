"""The classifiers that come with the package: small linear models over the features of a text, on the CPU.

A model is three files beside this one: `NAME.weights` (one line of JSON, then the table), `NAME.lexicon` (the concepts)
and `NAME.md`, its card, which says what it was trained on and how good it is. Reading them, once, through the
interpreter's own resources, is the only I/O in this package; there is no pickle, and nothing in the files is run.
"""

from __future__ import annotations

import math
import sys
import zlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from typing import Final, TypeAlias

import msgspec

from guardrails.classifiers import features
from guardrails.normalise import views

NAMES: Final = ("injection", "toxicity")
_LARGEST_LOGIT: Final = 60.0

_Weighed: TypeAlias = tuple[int, int, int, features.Unit]
"""Of a unit: the sum of the weights of its surface features, how many they are, the sum of its concepts' weights; and
the unit, which lives as long, so that no other has its `id`."""


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first line of a `.weights` file."""

    scale: float
    """What one unit of the table is worth."""
    bias: float
    length: float
    """See `features.pooled`."""
    hashed: bool = False
    """Whether `NAME.valence` holds the concepts of more words."""


@dataclass(frozen=True, slots=True)
class Classifier:
    """Scores texts in [0, 1]: bad from `threshold` on."""

    name: str
    digest: str
    """SHA-256 of the weights, which the card names too."""
    threshold: float
    _header: Header
    _table: array[int]
    _reader: features.Reader

    def score(self, text: str) -> float:
        """How sure it is that a text is bad: the worst of what a reader sees of it and of what is encoded in it."""
        return self.score_views(view.text for view in views(text))

    def score_views(self, shown: Iterable[str]) -> float:
        """The same, of a text that was normalised already: the texts of its views."""
        read: dict[str, list[features.Unit]] = {}
        weighed: dict[int, _Weighed] = {}
        worst = -_LARGEST_LOGIT
        for text in shown:
            units = self._reader.units(text, read)
            for unit in units:
                if id(unit) not in weighed:
                    weighed[id(unit)] = self._weighed(unit)
            worst = max(worst, self._logit([weighed[id(unit)] for unit in units]))
        return 1 / (1 + math.exp(-max(-_LARGEST_LOGIT, min(_LARGEST_LOGIT, worst))))

    def _weighed(self, unit: features.Unit) -> _Weighed:
        of_concepts = sum(map(self._table.__getitem__, unit.concepts))
        return sum(unit.surface.values()), len(unit.surface), of_concepts, unit

    def _logit(self, units: list[_Weighed]) -> float:
        if not units:
            return -_LARGEST_LOGIT
        surface = [unit[0] for unit in units]
        counts = [unit[1] for unit in units]
        concepts = [unit[2] for unit in units]
        unscaled = features.surface_scale
        if len(units) == 1:
            windows = [surface[0] * unscaled(counts[0]) + concepts[0]]
        else:
            windows = [
                (surface[i] + surface[i + 1]) * unscaled(counts[i] + counts[i + 1]) + concepts[i] + concepts[i + 1]
                for i in range(len(units) - 1)
            ]
        scale = self._header.scale
        return features.pooled([window * scale for window in windows], self._header.length) + self._header.bias


def load(name: str) -> Classifier:
    """One of `NAMES`, read from the package. Raises ValueError for another name, and for weights that are not whole."""
    if name not in NAMES:
        raise ValueError(f"there is no classifier {name!r}; there are: {', '.join(NAMES)}")
    folder = resources.files("guardrails.classifiers")
    content = folder.joinpath(f"{name}.weights").read_bytes()
    header, table = unpack(content)
    hashed = valences(folder.joinpath(f"{name}.valence").read_bytes()) if header.hashed else None
    lines = folder.joinpath(f"{name}.lexicon").read_text("utf-8").splitlines()
    reader = features.Reader(features.Lexicon(lines, hashed), table)
    return Classifier(name, sha256(content).hexdigest(), 0.5, header, table, reader)


def pack(header: Header, table: array[int]) -> bytes:
    """The content of a `.weights` file: little-endian numbers of 16 bits, deflated."""
    return msgspec.json.encode(header) + b"\n" + zlib.compress(_little(table).tobytes(), 9)


def unpack(content: bytes) -> tuple[Header, array[int]]:
    """The inverse of `pack`. Raises ValueError for anything else."""
    line, _, deflated = content.partition(b"\n")
    table = array("h")
    try:
        header = msgspec.json.decode(line, type=Header)
        table.frombytes(zlib.decompressobj().decompress(deflated, features.SLOTS * table.itemsize + 1))
    except (msgspec.MsgspecError, zlib.error, ValueError) as error:
        raise ValueError(f"the weights are not whole: {error}") from error
    if len(table) != features.SLOTS:
        raise ValueError(f"the weights are not whole: {len(table)} of {features.SLOTS} numbers")
    return header, _little(table)


def valences(content: bytes) -> dict[int, int]:
    """Concepts by CRC-32 of a word, from a `.valence` file: four bytes and one for each word."""
    return {int.from_bytes(content[at : at + 4], "little"): content[at + 4] for at in range(0, len(content), 5)}


def _little(table: array[int]) -> array[int]:
    """The table in the other byte order where this machine's is not that of the file."""
    if sys.byteorder == "little":
        return table
    swapped = array(table.typecode, table)
    swapped.byteswap()
    return swapped
