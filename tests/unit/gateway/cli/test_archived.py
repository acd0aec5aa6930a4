from __future__ import annotations

from pathlib import Path

from gateway.cli.archived import Made
from gateway.config import archive
from gateway.config.snapshot import Snapshot
from tests.support.gateway import config


def test_each_snapshot_is_made_once_while_records_stand_together(tmp_path: Path) -> None:
    made: list[str] = []

    def make(found: Snapshot) -> str:
        made.append(found.digest)
        return found.digest

    digests = [
        archive.write(tmp_path, archive.encode(config({"b": [f"http://host-{number}"]}))) for number in range(12)
    ]
    found = Made(tmp_path, make)
    assert [found.of(digest) for digest in (digests[0], digests[0], *digests)] == [digests[0], digests[0], *digests]
    assert made == digests
    assert found.of(digests[0]) == digests[0]
    assert len(made) == 13
    assert found.missing == {}


def test_one_that_is_not_there_is_told_and_looked_for_once(tmp_path: Path) -> None:
    found = Made(tmp_path, lambda snapshot: snapshot)
    assert found.of("0" * 64) is None
    assert found.of("0" * 64) is None
    assert "cannot read this snapshot" in found.missing["0" * 64]
