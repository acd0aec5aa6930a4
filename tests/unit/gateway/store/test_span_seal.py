"""Keys of the spool: each for some minutes, and gone when nothing waits that it locks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec
import pytest

from gateway.store import span_seal, span_spool
from gateway.store.span_spool import Spool
from gateway.telemetry.agent_spans import Sender
from tests.support.agent_spans import SENDER

SAID = b"what was said to an agent"


def sender(number: int) -> Sender:
    return msgspec.structs.replace(SENDER, request=f"req_{number:030x}")


def test_a_key_goes_when_nobody_locks_with_it_and_nothing_waits_that_it_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, 0)
    spool.keep(sender(1), "json", SAID)
    (first,) = span_spool.folder(tmp_path).glob("*.key")
    span_spool.forget_keys(tmp_path)
    assert first.exists()
    os.utime(first, (0, 0))
    span_spool.forget_keys(tmp_path)
    assert first.exists()
    (stored,) = span_spool.waiting(tmp_path)
    copied = shutil.copy(stored, tmp_path)
    stored.unlink()
    span_spool.forget_keys(tmp_path)
    assert not first.exists()
    with pytest.raises(ValueError, match="its key is gone"):
        span_spool.read(Path(copied))
    monkeypatch.setattr(span_seal, "KEY_S", 0.0)
    for number in (2, 3):  # the first of them because the key is gone
        spool.keep(sender(number), "json", SAID)
    assert [span_spool.read(path)[1] for path in span_spool.waiting(tmp_path)] == [SAID, SAID]
    assert len(list(span_spool.folder(tmp_path).glob("*.key"))) == 2


@pytest.mark.parametrize("key", [b"", b"short", bytes(32)])
def test_a_key_that_is_another_opens_nothing(tmp_path: Path, key: bytes) -> None:
    Spool(tmp_path, 0).keep(sender(1), "json", SAID)
    (path,) = span_spool.folder(tmp_path).glob("*.key")
    path.write_bytes(key)
    with pytest.raises(ValueError, match="its key is gone"):
        span_spool.read(span_spool.waiting(tmp_path)[0])
