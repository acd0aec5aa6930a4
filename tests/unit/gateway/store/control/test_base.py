from __future__ import annotations

import pytest

from gateway.config.entries import Entry, EntryId
from gateway.store.control import base

KEY = Entry("key", "app", b"{}", 3, 1, 2, "alice", 7, tenant="acme")
TENANT = EntryId("tenant", "", "acme")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (base.Conflict(KEY, 2), "key acme/app is at version 3 and not 2"),
        (base.Exists(KEY), "key acme/app is there already"),
        (base.Gone(KEY), "key acme/app was removed, and its name is not given twice"),
        (base.NotThere(TENANT), "there is no tenant acme in the control store"),
        (base.NotEmpty(TENANT, KEY.id), "tenant acme still has the key acme/app"),
    ],
)
def test_a_refusal_names_the_entry_and_why(error: base.Refused, message: str) -> None:
    assert message in str(error)
    assert error.id in (KEY.id, TENANT)
