"""Random histories on real control stores, opened again and again, against a dict."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from gateway.config.entries import Entry, EntryId
from gateway.store.control.base import Refused, Step, Verified
from gateway.store.control.opening import open_store
from tests.support.control_histories import STEPS, Reference
from tests.support.control_stores import ALICE, KINDS, Site, site


@pytest.fixture(scope="module", params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return site(request.param, tmp_path_factory.mktemp("histories"), request)


class Histories(RuleBasedStateMachine):
    """One who changes, and one who follows what changed."""

    place: ClassVar[Site]

    def __init__(self) -> None:
        super().__init__()
        self.place.wipe()
        self.runner = asyncio.Runner()
        self.reference = Reference()
        self.followed: dict[EntryId, Entry] = {}
        self.revision = 0
        self.begin()

    def begin(self) -> None:
        self.store = open_store(self.place.url, self.place.folder)
        self.runner.run(self.store.open())

    @rule(groups=STEPS)
    def apply(self, groups: Sequence[Step]) -> None:
        refusal = ""
        try:
            self.runner.run(self.store.apply(groups, ALICE, "", 1))
        except Refused as error:
            refusal = type(error).__name__
        assert refusal == self.reference.apply(groups)

    @rule()
    def open_again(self) -> None:
        self.runner.run(self.store.close())
        self.begin()

    @rule()
    def follow(self) -> None:
        self.revision, changed = self.runner.run(self.store.changed_since(self.revision))
        for each in changed:
            of = EntryId(each.kind, each.tenant, each.name)
            if each.entry is None:
                self.followed.pop(of, None)
            else:
                self.followed[of] = each.entry
        self.agrees(list(self.followed.values()))

    @rule()
    def verify(self) -> None:
        found = self.runner.run(self.store.verify())
        assert isinstance(found, Verified)
        assert found.count == len(self.reference.log)

    @invariant()
    def holds_what_the_reference_holds(self) -> None:
        entries = self.runner.run(self.store.entries())
        assert [entry.id for entry in entries] == sorted(self.reference.live)
        self.agrees(entries)

    def agrees(self, entries: Sequence[Entry]) -> None:
        assert {entry.id: (entry.document, entry.version) for entry in entries} == self.reference.live

    def teardown(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()


def test_any_history_is_kept_as_a_dict_would_keep_it(place: Site) -> None:
    Histories.place = place
    examples = 40 if place.kind == "sqlite" else 10  # a server's are ten times as slow
    run_state_machine_as_test(
        Histories, settings=settings(max_examples=examples, stateful_step_count=25, deadline=None)
    )
