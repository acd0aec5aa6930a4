"""The chains of a configuration, made of what it says: part of the snapshot. Pure.

Making one takes some tenths of a second, so a chain is made once a process for as long as it is written the same, and
what those of a caller and of models are together once a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache, reduce
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.config.model import Backend, Vllm

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


def keeps_responses(backends: Iterable[Backend]) -> bool:
    """Whether conversations go on from answers that one of these keeps."""
    return any(isinstance(backend, Vllm) and backend.keeps_responses for backend in backends)


class Resolved:
    """The chains by who asks and what may answer. Grows as they are asked for; `make` makes them ahead."""

    def __init__(self, written: Mapping[str, tuple[dict[str, Any], ...]]) -> None:
        """`written` is valid (see `review_chains`)."""
        self._written = written
        self._known: dict[tuple[str, ...], Chain | None] = {}

    def of(self, *names: str | None) -> Chain | None:
        """The chains of these names, each once, in this order and as one; None where none looks at anything."""
        wanted = tuple(dict.fromkeys(filter(None, names)))
        try:
            return self._known[wanted]
        except KeyError:
            return self._known.setdefault(wanted, self._join(wanted))

    def make(self, callers: Iterable[str | None], models: Iterable[tuple[str | None, ...]]) -> None:
        """Makes now what each of these callers can need of each of these models and its fallbacks, so that no request
        waits for it."""
        models = set(models)
        for caller in set(callers):
            for names in models:
                self.of(caller, *names)

    def _join(self, names: tuple[str, ...]) -> Chain | None:
        if not names:
            return None
        from guardrails.chain import joined

        chain = reduce(joined, (made(name, self._written[name]) for name in names))
        return chain if chain.links or chain.tools or chain.watched_tools else None
