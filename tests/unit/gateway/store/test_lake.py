from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from gateway.store import duck, lake
from gateway.store.lake import LakeAway

NAME = "class=400/day=2026-11-22/000001-5f3a9c1e.parquet"


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    path = tmp_path / "here.parquet"
    with duck.connection(tmp_path) as database:
        database.execute(f"COPY (SELECT 7 AS id) TO '{path}' (FORMAT parquet)")
    return path


@pytest.fixture(params=["folder", "file", "memory"])
def at(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place of each kind."""
    if request.param == "memory":
        pytest.importorskip("fsspec", reason="the extra lake is not installed")
        return f"memory://records-{uuid.uuid4().hex}"
    return ("file://" if request.param == "file" else "") + str(tmp_path / "lake")


def read(tmp_path: Path, at: str) -> object:
    with duck.connection(tmp_path) as database:
        lake.open_to(database, at)
        lake.open_to(database, at)
        return database.execute(f"SELECT id FROM read_parquet('{lake.address(at, NAME)}')").fetchall()


def test_what_was_brought_is_read_there_also_when_it_is_brought_again(tmp_path: Path, parquet: Path, at: str) -> None:
    for _ in range(2):
        lake.bring(parquet, at, NAME)
        assert read(tmp_path, at) == [(7,)]


def test_what_was_removed_is_gone_and_may_be_removed_again(tmp_path: Path, parquet: Path, at: str) -> None:
    lake.bring(parquet, at, NAME)
    for _ in range(2):
        lake.remove(at, NAME)
    with pytest.raises(Exception, match=r"000001-5f3a9c1e"):
        read(tmp_path, at)


def test_a_place_that_takes_nothing_is_away_and_says_where(tmp_path: Path, parquet: Path) -> None:
    (tmp_path / "lake").write_text("a file where a folder is to be")
    with pytest.raises(LakeAway, match=r"cannot write .*lake"):
        lake.bring(parquet, str(tmp_path / "lake"), NAME)


def test_a_store_that_nobody_knows_or_that_fails_is_away(parquet: Path) -> None:
    fsspec = pytest.importorskip("fsspec", reason="the extra lake is not installed")
    with pytest.raises(LakeAway, match="cannot open nonsense://"):
        lake.bring(parquet, "nonsense://bucket", NAME)

    def makes(_: Any, path: str, exist_ok: bool = False) -> None:
        raise RuntimeError("no such bucket")

    def removes(_: Any, path: str) -> None:
        raise RuntimeError("access denied")

    named = {"protocol": "failing", "makedirs": makes, "rm_file": removes}
    failing = type("Failing", (fsspec.AbstractFileSystem,), named)
    fsspec.register_implementation("failing", failing, clobber=True)
    with pytest.raises(LakeAway, match="failing://bucket: RuntimeError: no such bucket"):
        lake.bring(parquet, "failing://bucket", NAME)
    with pytest.raises(LakeAway, match="access denied"):
        lake.remove("failing://bucket", NAME)
