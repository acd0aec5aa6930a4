"""Near-duplicates: texts that share a good part of their words belong together, on one side of every split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from zlib import crc32

_SHINGLE: Final = 5
_KEPT: Final = 24
_SHARED: Final = 8
_WORD: Final = re.compile(r"\w+")


def grouped(texts: Sequence[str], known: Sequence[str] | None = None) -> list[int]:
    """For each text the number of its group. Two texts that share eight of the 24 smallest hashes of their five-word
    runs are of one group (a third: about half of the words), and so are those with the same non-empty `known` group.
    Of two texts whose groups are known nothing else counts: what was made apart may have a short phrase in common.
    """
    names = known or [""] * len(texts)
    parents = list(range(len(texts)))
    shared: dict[tuple[int, int], int] = {}
    seen: dict[int, list[int]] = {}
    for number, text in enumerate(texts):
        for hash_ in _sketch(text):
            for other in seen.setdefault(hash_, []):
                pair = (other, number)
                shared[pair] = shared.get(pair, 0) + 1
            if len(seen[hash_]) < 8:  # the first few stand for all that share a very common run
                seen[hash_].append(number)
    for (a, b), count in shared.items():
        if names[a] and names[b]:
            continue
        if count >= min(_SHARED, len(_sketch(texts[a])), len(_sketch(texts[b]))):
            _join(parents, a, b)
    first: dict[str, int] = {}
    for number, name in enumerate(names):
        if name:
            _join(parents, first.setdefault(name, number), number)
    return [_root(parents, number) for number in range(len(texts))]


def _sketch(text: str) -> list[int]:
    words = _WORD.findall(text.lower())
    runs = {" ".join(words[i : i + _SHINGLE]) for i in range(max(1, len(words) - _SHINGLE + 1))}
    return sorted(crc32(run.encode("utf-8", "replace")) for run in runs)[:_KEPT]


def _root(parents: list[int], number: int) -> int:
    while parents[number] != number:
        parents[number] = parents[parents[number]]
        number = parents[number]
    return number


def _join(parents: list[int], a: int, b: int) -> None:
    a, b = sorted((_root(parents, a), _root(parents, b)))
    parents[b] = a
