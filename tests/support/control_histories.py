"""Random requests to a control store, and a reference that answers them from a dict."""

from __future__ import annotations

import json
from collections.abc import Sequence, Set

from hypothesis import strategies as st

from gateway.config.entries import EntryId
from gateway.store.control.base import NEVER_AGAIN, NEW, Keep, Put, Remove, Step

IDS = st.sampled_from(
    [
        *(EntryId("tenant", "", name) for name in ("a", "b")),
        *(EntryId(kind, tenant, "x") for kind in ("project", "key") for tenant in ("a", "b")),
        *(EntryId("principal", "", "x"), EntryId("endpoint", "", "b http://h:1")),
    ]
)
_EXPECTED = st.none() | st.integers(1, 3)
STEPS = st.lists(
    st.builds(Put, IDS, st.sampled_from([b"1", b'{"projects":["x"]}']), st.just(NEW) | _EXPECTED)
    | st.builds(Remove, IDS, _EXPECTED)
    | st.builds(Keep, IDS, _EXPECTED),
    min_size=1,
    max_size=3,
)


class Reference:
    """What a control store is to do, with nothing of how it does it."""

    def __init__(self) -> None:
        self.live: dict[EntryId, tuple[bytes, int]] = {}
        self.gone: dict[EntryId, int] = {}
        self.log: list[tuple[EntryId, bytes | None, bytes | None]] = []

    def apply(self, steps: Sequence[Step]) -> str:
        """The name of the refusal; empty when all of it was done."""
        before = dict(self.live), dict(self.gone), list(self.log)
        leaving = {step.id.name for step in steps if isinstance(step, Remove) and step.id.kind == "tenant"}
        for step in steps:
            if refusal := self._step(step, leaving):
                self.live, self.gone, self.log = before
                return refusal
        return ""

    def _step(self, step: Step, leaving: Set[str]) -> str:
        there = self.live.get(step.id)
        if isinstance(step, Put) and step.expect == NEW:
            if there is not None:
                return "Exists"
            if step.id in self.gone and step.id.kind in NEVER_AGAIN:
                return "Gone"
            self._write(step.id, None, step.document, self.gone.pop(step.id, 0) + 1)
            return ""
        if there is None:
            return "NotThere"
        document, version = there
        if step.expect not in (None, version):
            return "Conflict"
        if isinstance(step, Put) and step.document != document:
            self._write(step.id, document, step.document, version + 1)
        if isinstance(step, Remove):
            if step.id.kind == "tenant" and any(of.tenant == step.id.name for of in self.live):
                return "NotEmpty"
            if step.id.kind == "project" and step.id.tenant not in leaving and self._named(step.id):
                return "NotEmpty"
            del self.live[step.id]
            self.gone[step.id] = version + 1
            self.log.append((step.id, document, None))
        return ""

    def _named(self, project: EntryId) -> bool:
        documents = [found for of, (found, _) in self.live.items() if (of.kind, of.tenant) == ("key", project.tenant)]
        return any(project.name in json.loads(found).get("projects", ()) for found in documents if found != b"1")

    def _write(self, of: EntryId, before: bytes | None, after: bytes, version: int) -> None:
        self.live[of] = (after, version)
        self.log.append((of, before, after))
