from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.entries import Entry, EntryId
from gateway.policy.changes import START, follow
from gateway.store.control.base import NEW, Once, Put, Refused, Remembered, Remove, Repeated, Step, Who
from gateway.store.control.deciding import Request, Working, asked, became, emptied
from tests.support.control_histories import STEPS, Reference

WHO = Who("alice", "alice@example.org", "api", "req_1")
ACME = EntryId("tenant", "", "acme")


def request(*steps: Step, now_ns: int = 1, once: Once | None = None) -> Request:
    return Request(steps, WHO, "because", now_ns, once)


@given(st.lists(STEPS, max_size=25))
def test_any_history_ends_as_the_reference_says_and_its_log_makes_the_same_entries(
    history: Sequence[Sequence[Step]],
) -> None:
    working, reference = Working(START, []), Reference()
    for steps in history:
        before = (working.head, dict(working.written), list(working.changes))
        refusal, done = "", list[Entry]()
        try:
            done = working.do(request(*steps))
        except Refused as error:
            refusal = type(error).__name__
        assert refusal == reference.apply(steps)
        if refusal:
            assert (working.head, working.written, working.changes) == before
        else:
            assert [entry.id for entry in done] == [step.id for step in steps]
    entries = working.written
    assert {of: (e.document, e.version) for of, e in entries.items() if e.gone_ns is None} == reference.live
    assert {of: e.version for of, e in entries.items() if e.gone_ns is not None} == reference.gone
    assert [(EntryId(c.kind, c.tenant, c.name), c.before, c.after) for c in working.changes] == reference.log  # type: ignore[arg-type]
    head, again = START, dict[EntryId, Entry]()
    for change in working.changes:
        head = follow(head, change)
        entry = became(again.get(EntryId(change.kind, change.tenant, change.name)), change)  # type: ignore[arg-type]
        again[entry.id] = entry
    assert (head, again) == (working.head, entries)


def test_what_is_to_be_known_is_what_is_named_and_what_a_tenant_holds() -> None:
    app = EntryId("key", "acme", "app")
    web = EntryId("project", "initech", "web")
    requests = [request(Put(app, b"1", NEW)), request(Remove(ACME), Remove(app)), request(Remove(web))]
    assert asked(requests) == {app, ACME, web}
    assert emptied(requests) == {"acme", "initech"}


def test_an_idempotency_key_is_good_for_one_request_of_a_group_too() -> None:
    once = Once("alice", "k", "r", lambda entries: b",".join(entry.document for entry in entries))
    working = Working(START, [])
    working.do(request(Put(ACME, b"1", NEW), Put(ACME, b"2", 1), once=once))
    with pytest.raises(Repeated) as caught:
        working.do(request(Put(ACME, b"3"), once=once))
    assert caught.value.remembered == Remembered("r", b"1,2")
    assert [(each.principal, each.key, each.at_ns) for each in working.answered] == [("alice", "k", 1)]
    with pytest.raises(Repeated):
        Working(START, [], {("alice", "k"): Remembered("r", b"")}).do(request(once=once))
