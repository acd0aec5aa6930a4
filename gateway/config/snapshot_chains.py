"""The chains of a configuration, made of what it says: part of the snapshot. Pure.

Making one takes some tenths of a second, so a chain is made once a process for as long as it is written the same, and
what a caller's and a model's chain are together once a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from guardrails.chain import Chain

_KEPT = 64


def made(name: str, entries: Iterable[Mapping[str, Any]]) -> Chain:
    """The chain; the very same for what is written the same. Raises `ChainError`."""
    return _made(name, msgspec.json.encode(list(entries)))


@lru_cache(maxsize=_KEPT)
def _made(name: str, entries: bytes) -> Chain:
    from guardrails.settings import chain_of  # only now: without chains nothing of it is loaded

    return chain_of(name, msgspec.json.decode(entries))


class Resolved:
    """The chains by who asks and what is asked for. Grows as pairs are asked for; `make` makes them ahead."""

    def __init__(self, written: Mapping[str, tuple[dict[str, Any], ...]]) -> None:
        """`written` is valid (see `review_chains`)."""
        self._written = written
        self._pairs: dict[tuple[str | None, str | None], Chain | None] = {}

    def of(self, caller: str | None, model: str | None) -> Chain | None:
        """The chain of that name for a caller, then that for a model, as one; None where neither looks at anything."""
        try:
            return self._pairs[caller, model]
        except KeyError:
            return self._pairs.setdefault((caller, model), self._join(caller, model))

    def make(self, callers: Iterable[str | None], models: Iterable[str | None]) -> None:
        """Makes all pairs of these now, so that no request waits for it."""
        models = set(models)
        for caller in set(callers):
            for model in models:
                self.of(caller, model)

    def _join(self, caller: str | None, model: str | None) -> Chain | None:
        if caller is None or model is None or caller == model:
            name = caller or model
            chain = None if name is None else made(name, self._written[name])
        else:
            from guardrails.chain import joined

            chain = joined(made(caller, self._written[caller]), made(model, self._written[model]))
        return chain if chain is not None and (chain.links or chain.tools) else None
