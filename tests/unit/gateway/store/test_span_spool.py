from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import msgspec
import pytest

from gateway.errors import StoreUnavailable
from gateway.store import span_spool
from gateway.store.span_spool import Spool
from gateway.telemetry.agent_spans import Sender
from tests.support.agent_spans import SENDER
from tests.support.contents import in_any_file


def sender(number: int, tenant: str = "acme") -> Sender:
    return msgspec.structs.replace(SENDER, request=f"req_{number:030x}", tenant=tenant)


def test_what_was_kept_is_read_as_it_came_the_oldest_first(tmp_path: Path) -> None:
    for slot, number in ((1, 1), (0, 2), (1, 3)):
        Spool(tmp_path, slot).keep(sender(number), "json", b"body %d" % number)
    found = [span_spool.read(path) for path in span_spool.waiting(tmp_path)]
    assert [(head.sender, head.form, body) for head, body in found] == [
        (sender(number), "json", b"body %d" % number) for number in (1, 2, 3)
    ]
    assert span_spool.waiting_bytes(tmp_path) == sum(path.stat().st_size for path in span_spool.waiting(tmp_path))


def test_nothing_waits_where_no_worker_ever_ran(tmp_path: Path) -> None:
    assert (span_spool.waiting(tmp_path), span_spool.waiting_bytes(tmp_path)) == ([], 0)


def test_a_tenant_has_its_share_and_all_have_a_bound(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 0, most=250, most_of_tenant=100)
    spool.keep(sender(1), "json", bytes(90))
    with pytest.raises(StoreUnavailable) as raised:
        spool.keep(sender(2), "json", bytes(20))
    assert ("retry-after", "5") in raised.value.headers
    spool.keep(sender(3, "bank"), "json", bytes(90))
    with pytest.raises(StoreUnavailable):
        spool.keep(sender(4, "shop"), "json", bytes(90))
    assert len(span_spool.waiting(tmp_path)) == 2


def test_what_was_stored_makes_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 0, most_of_tenant=100)
    for number in range(5):
        spool.keep(sender(number), "json", bytes(90))
        (path,) = span_spool.waiting(tmp_path)
        path.unlink()


def test_the_worker_that_follows_counts_what_waits_and_removes_what_was_not_whole(tmp_path: Path) -> None:
    Spool(tmp_path, 0).keep(sender(1), "json", bytes(90))
    Spool(tmp_path, 1).keep(sender(2), "json", bytes(90))
    halves = [span_spool.folder(tmp_path) / f"{slot}-req_9.new" for slot in (0, 1)]
    for half in halves:
        half.write_bytes(b"half")
    follower = Spool(tmp_path, 0, most_of_tenant=100)
    with pytest.raises(StoreUnavailable):
        follower.keep(sender(3), "json", bytes(20))
    assert [half.exists() for half in halves] == [False, True]
    follower.keep(sender(4), "json", bytes(10))


def test_a_disk_that_takes_nothing_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 0)
    spool.keep(sender(1), "json", b"")
    (span_spool.folder(tmp_path) / f"0-{sender(2).request}.new").mkdir()
    with pytest.raises(StoreUnavailable):
        spool.keep(sender(2), "json", b"body")
    assert len(span_spool.waiting(tmp_path)) == 1
    spool.keep(sender(3), "json", b"body")


@pytest.mark.parametrize("raw", [b"", b"\x05\x00\x00\x00abc", b"\xff\xff\xff\xff"])
def test_a_file_of_somebody_else_is_none(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "x.otlp"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="not written by this version"):
        span_spool.read(path)


SAID = b"what was said to an agent"


def test_what_waits_is_in_no_file_in_the_clear_and_only_this_user_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Spool(tmp_path, 0).keep(sender(1), "json", SAID)
    finally:
        os.umask(before)
    assert in_any_file(tmp_path, SAID) == in_any_file(tmp_path, b"acme") == []
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_dir()} == {0o700}
    (path,) = span_spool.waiting(tmp_path)
    assert span_spool.read(path)[1] == SAID


def test_without_cryptography_it_waits_as_it_came_and_is_read_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Spool(tmp_path / "locked", 0).keep(sender(1), "json", SAID)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    Spool(tmp_path, 0).keep(sender(2), "json", SAID)
    (locked,) = span_spool.waiting(tmp_path / "locked")
    with pytest.raises(ValueError, match="its key is gone"):
        span_spool.read(locked)
    monkeypatch.undo()
    assert span_spool.read(locked)[1] == SAID
    (path,) = span_spool.waiting(tmp_path)
    assert span_spool.read(path)[1] == SAID
    assert in_any_file(tmp_path, SAID) == [str(path.relative_to(tmp_path))]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
