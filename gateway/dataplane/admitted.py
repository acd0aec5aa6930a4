"""A request as the meters see it: what `Recording` is to admission, to settling, and to what a caller is told."""

from __future__ import annotations

from typing import Protocol

from gateway.policy.leases import Hold
from gateway.policy.terms import Terms
from gateway.store.records import Record


class Admitted(Protocol):
    """`hold` is None until the request is let in, and where no meter counts it; `terms` and `running` are set with
    it.
    """

    row: Record
    hold: Hold | None
    terms: Terms
    running: bool
    """Its stream is metered while it runs."""

    def header(self, name: bytes) -> bytes | None:
        """A header of the request."""
        ...

    def acted(self, word: str) -> None:
        """Notes what a meter did."""
        ...
