"""The content table: what the keeper moves there, once, locked, for as long as it is to be kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.clock import ManualClock
from gateway.store import content_table, manifest
from gateway.store.compaction import DAY_NS
from gateway.store.content import folder
from gateway.store.content_journal import journals
from gateway.store.content_keys import ContentKeys
from gateway.store.content_read import contents
from gateway.store.content_table import ContentTable
from tests.support.contents import TEXT, a_content, a_content_journal, a_state_dir, in_any_file, moved
from tests.support.journals import STARTED_NS

IDS = ("req_1", "req_2", "req_3")


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return a_state_dir(tmp_path)


def test_content_is_read_from_the_journal_and_then_from_the_table(state_dir: Path) -> None:
    journal = a_content_journal(state_dir)
    journal.keep(a_content("req_1"))
    assert contents(state_dir, IDS, {}) == {"req_1": a_content("req_1")}
    moved(state_dir)
    journal.keep(a_content("req_2", days=7, tenant="globex"))
    assert contents(state_dir, IDS, {}) == {
        "req_1": a_content("req_1"),
        "req_2": a_content("req_2", days=7, tenant="globex"),
    }
    journal.stop()
    moved(state_dir)
    assert journals(state_dir) == []
    assert contents(state_dir, IDS, {}) == {
        "req_1": a_content("req_1"),
        "req_2": a_content("req_2", days=7, tenant="globex"),
    }
    assert {path.parent.parent.name for path in folder(state_dir).rglob("*.parquet")} == {"class=30", "class=7"}
    assert in_any_file(state_dir, TEXT) == []


def test_a_pass_that_was_cut_short_is_done_again(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = a_content_journal(state_dir)
    for number in (1, 2, 3):
        journal.keep(a_content(f"req_{number}"))
    journal.stop()

    def fails(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "publish_in", fails)
        table = ContentTable(state_dir, ManualClock(), {})
        with pytest.raises(OSError, match="full"):
            table.add()
        table.close()
    assert moved(state_dir).rows == 3
    assert sorted(contents(state_dir, IDS, {})) == list(IDS)


def test_much_is_moved_in_several_passes(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_table, "PASS_BYTES", 1)
    journal = a_content_journal(state_dir)
    for number in (1, 2, 3):
        journal.keep(a_content(f"req_{number}"))
    table = ContentTable(state_dir, ManualClock(), {})
    assert [table.add() for _ in range(4)] == [True, True, True, False]
    assert table.rows == 3
    table.close()
    journal.stop()


def test_content_of_a_tenant_whose_key_is_not_there_is_lost_and_others_is_not(state_dir: Path) -> None:
    journal = a_content_journal(state_dir)
    journal.keep(a_content("req_1", wrap="${ACME_KEY}"))
    journal.keep(a_content("req_2", tenant="globex"))
    journal.stop()
    table = moved(state_dir)
    assert (table.rows, table.lost) == (1, 1)
    assert "ACME_KEY is not set" in table.away


def test_files_of_a_day_become_one_and_days_that_are_over_are_dropped(state_dir: Path) -> None:
    clock = ManualClock(wall_ns=STARTED_NS + DAY_NS)
    journal = a_content_journal(state_dir)
    table = ContentTable(state_dir, clock, {})
    for number in (1, 2, 3):
        journal.keep(a_content(f"req_{number}"))
        table.add()
    assert len(table.manifest.records) == 3
    while table.merge():
        pass
    assert [file.rows for file in table.manifest.records] == [3]
    clock.advance(40 * 86_400)
    journal.keep(a_content("req_9", started_ns=clock.wall_ns(), days=400))
    table.add()
    assert len(contents(state_dir, (*IDS, "req_9"), {})) == 4
    while table.merge():
        pass
    assert list(contents(state_dir, (*IDS, "req_9"), {})) == ["req_9"]
    table.close()
    journal.stop()


def test_a_row_that_was_changed_or_stands_for_another_request_is_told() -> None:
    key = AESGCM(bytes(32))
    locked = bytes(12) + key.encrypt(bytes(12), b"no content", b"req_1")
    for content_id, data in (("req_2", locked), ("req_1", locked), ("req_1", locked[:-1]), ("req_1", b"")):
        with pytest.raises(ValueError, match="damaged"):
            content_table.unlocked(key, content_id, data)


def test_a_key_that_is_another_than_before_keeps_nothing_and_harms_nobody_else(state_dir: Path) -> None:
    environ = {"ACME_KEY": "k" * 32}
    journal = a_content_journal(state_dir)
    journal.keep(a_content("req_1", wrap="${ACME_KEY}"))
    assert moved(state_dir, environ).lost == 0
    journal.keep(a_content("req_2", wrap="${ACME_KEY}"))
    journal.keep(a_content("req_3", tenant="globex"))
    journal.stop()
    table = moved(state_dir, {"ACME_KEY": "o" * 32})
    assert (table.rows, table.lost) == (2, 1)
    assert "is not the one" in table.away
    assert sorted(contents(state_dir, IDS, environ)) == ["req_1", "req_3"]


def test_names_of_end_users_are_no_paths(state_dir: Path) -> None:
    odd = ("../../x", "/etc/passwd", "a\nb", "\x1b[2J", "'; DROP TABLE keys; --", "n" * 512, "\0", "你好")
    journal = a_content_journal(state_dir)
    ids = [f"req_{number}" for number in range(len(odd))]
    for one, name in zip(ids, odd, strict=True):
        journal.keep(a_content(one, end_user=name))
    journal.stop()
    before = {path for path in state_dir.parent.rglob("*") if state_dir not in path.parents}
    moved(state_dir)
    assert {path for path in state_dir.parent.rglob("*") if state_dir not in path.parents} == before
    assert len(contents(state_dir, ids, {})) == len(odd)
    keys = ContentKeys(state_dir, {})
    for number, name in enumerate(odd):
        assert keys.erase("acme", name, 1) == 1
        assert sorted(contents(state_dir, ids, {})) == sorted(ids[number + 1 :])
    keys.close()
