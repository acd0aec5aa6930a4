from __future__ import annotations

from gateway.config.entries import Entry, EntryId


def test_an_entry_says_which_it_is() -> None:
    entry = Entry("key", "app", b"{}", 1, 1, 1, "alice", 7, tenant="acme")
    assert entry.id == EntryId("key", "acme", "app")
    assert entry.gone_ns is None
