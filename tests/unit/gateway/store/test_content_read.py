"""Reading what was said: of who has its key, until it was erased."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.store.content import Locked
from gateway.store.content_keys import ContentKeys
from gateway.store.content_read import contents
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
