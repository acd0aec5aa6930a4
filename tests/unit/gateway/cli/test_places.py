from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from gateway.cli.places import state_dir_of
from tests.support.gateway_process import minimal


def test_the_directory_named_beats_the_one_of_the_configuration(tmp_path: Path) -> None:
    for name in ("named", "configured"):
        (tmp_path / name / "journal").mkdir(parents=True)
    folder = tmp_path / "config"
    folder.mkdir()
    server = {"state_dir": str(tmp_path / "configured")}
    (folder / "gateway.yaml").write_text(json.dumps(minimal(server=server)))
    assert state_dir_of(tmp_path / "named", folder) == tmp_path / "named"
    assert state_dir_of(None, folder) == tmp_path / "configured"


def test_without_either_it_is_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state" / "journal").mkdir(parents=True)
    assert state_dir_of(None, None) == Path("state")


def test_a_directory_without_journals_is_told(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match=r"no gateway has run on the state directory .* --state-dir"):
        state_dir_of(tmp_path, None)
