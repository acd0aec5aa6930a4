"""Reading what was said: of who has its key, until it was erased."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.store.content import Locked
from gateway.store.content_keys import ContentKeys
from gateway.store.content_read import contents, latest_ns
from gateway.store.manifest import LedgerUnreadable
from tests.support.contents import a_content, a_content_journal, a_state_dir, moved
from tests.support.journals import STARTED_NS

IDS = ("req_1", "req_2", "req_3")


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return a_state_dir(tmp_path)


def test_content_under_a_tenants_key_is_read_by_who_has_it(state_dir: Path) -> None:
    journal = a_content_journal(state_dir)
    content = a_content("req_1", wrap="${ACME_KEY}")
    journal.keep(content)
    journal.stop()
    environ = {"ACME_KEY": "k" * 32}
    moved(state_dir, environ)
    assert contents(state_dir, IDS, environ) == {"req_1": content}
    locked = contents(state_dir, IDS, {})["req_1"]
    assert isinstance(locked, Locked)
    assert "ACME_KEY is not set" in locked.why


def test_erased_content_is_gone_from_the_table_and_skipped_in_journals(state_dir: Path) -> None:
    journal = a_content_journal(state_dir)
    journal.keep(a_content("req_1"))
    moved(state_dir)
    journal.keep(a_content("req_2", started_ns=STARTED_NS + 1))
    journal.keep(a_content("req_3", started_ns=STARTED_NS + 1, end_user="ann"))
    keys = ContentKeys(state_dir, {})
    assert keys.erase("acme", "joe", STARTED_NS + 5) == 1
    keys.close()
    ann = {"req_3": a_content("req_3", started_ns=STARTED_NS + 1, end_user="ann")}
    assert contents(state_dir, IDS, {}) == ann
    later = a_content("req_4", started_ns=STARTED_NS + 9)
    journal.keep(later)
    journal.stop()
    moved(state_dir)
    assert contents(state_dir, (*IDS, "req_4"), {}) == ann | {"req_4": later}


def test_nothing_is_there_where_nothing_was_ever_kept(state_dir: Path) -> None:
    assert contents(state_dir, IDS, {}) == {}
    assert list(state_dir.iterdir()) == [state_dir / "secret"]


def test_a_file_that_was_damaged_is_told(state_dir: Path) -> None:
    journal = a_content_journal(state_dir)
    journal.keep(a_content())
    journal.stop()
    moved(state_dir)
    (path,) = state_dir.rglob("*.parquet")
    path.write_bytes(b"PAR1 no more")
    with pytest.raises(LedgerUnreadable, match="what was said"):
        contents(state_dir, IDS, {})


def test_a_key_that_was_put_in_the_place_of_another_opens_nothing_and_is_told(state_dir: Path) -> None:
    journal = a_content_journal(state_dir)
    journal.keep(a_content("req_1"))
    journal.keep(a_content("req_2", end_user="ann"))
    journal.stop()
    moved(state_dir)
    with closing(sqlite3.connect(state_dir / "content-keys")) as database, database:
        (ann,) = database.execute("SELECT locked FROM keys WHERE end_user = 'ann'").fetchone()
        database.execute("UPDATE keys SET locked = ? WHERE end_user = 'joe'", (ann,))
    found = contents(state_dir, IDS, {})
    assert isinstance(found["req_1"], Locked)
    assert found["req_2"] == a_content("req_2", end_user="ann")


def test_content_whose_key_was_changed_is_told(state_dir: Path) -> None:
    journal = a_content_journal(state_dir)
    journal.keep(a_content("req_1"))
    journal.stop()
    moved(state_dir)
    keys = ContentKeys(state_dir, {})
    key_id, _ = keys.of("acme", "joe", "")
    keys.erase("acme", "joe", 1)
    other, _ = keys.of("acme", "joe", "")
    keys.close()
    with closing(sqlite3.connect(state_dir / "content-keys")) as database, database:
        # Locked keys belong to their ids: another one in its place is none.
        database.execute("UPDATE keys SET id = ? WHERE id = ?", (key_id, other))
    assert isinstance(contents(state_dir, IDS, {})["req_1"], Locked)


def test_when_the_last_request_began_is_known_of_what_was_not_moved_yet(state_dir: Path) -> None:
    assert latest_ns(state_dir, "acme", None) == 0
    journal = a_content_journal(state_dir)
    for after, end_user, tenant in ((0, "joe", "acme"), (7, "ann", "acme"), (9, "joe", "globex")):
        name = f"req_{after}"
        journal.keep(a_content(name, started_ns=STARTED_NS + after, end_user=end_user, tenant=tenant))
    assert latest_ns(state_dir, "acme", "joe") == STARTED_NS
    assert latest_ns(state_dir, "acme", None) == STARTED_NS + 7
    journal.stop()
    moved(state_dir)
    assert latest_ns(state_dir, "acme", None) == 0
