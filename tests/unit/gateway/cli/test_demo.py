from __future__ import annotations

import json
import socket
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.cli.demo import KEYS_FILE, free_address, prepare, source_folder
from gateway.config.load import load
from gateway.errors import ConfigError

CONFIGURATION = """
backends: {scripted: {kind: fake}}
models: {small: {backend: scripted}}
tenants: {acme: {models: ["*"]}, globex: {models: [small]}}
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The folder of a configuration that needs no model to be installed."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "demo.yaml").write_text(CONFIGURATION)
    return folder


def test_each_tenant_gets_a_key_that_the_configuration_knows_by_its_hash(source: Path, tmp_path: Path) -> None:
    folder, keys = prepare(tmp_path / "state", source)
    config = load(folder)
    assert set(keys) == set(config.tenants) == {"acme", "globex"}
    for tenant, secret in keys.items():
        assert secret.startswith("lg-")
        [key] = config.tenants[tenant].keys.values()
        assert key.digest == sha256(secret.encode()).digest()


def test_the_keys_are_in_a_file_that_only_its_owner_reads(source: Path, tmp_path: Path) -> None:
    _, keys = prepare(tmp_path / "state", source)
    path = tmp_path / "state" / KEYS_FILE
    assert json.loads(path.read_text()) == keys
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_second_start_keeps_the_keys_and_touches_no_file(source: Path, tmp_path: Path) -> None:
    def files() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in (tmp_path / "state").rglob("*") if path.is_file()}

    first, before = prepare(tmp_path / "state", source), files()
    assert prepare(tmp_path / "state", source) == first
    assert files() == before


def test_a_tenant_that_is_new_gets_a_key_and_the_others_keep_theirs(source: Path, tmp_path: Path) -> None:
    _, before = prepare(tmp_path / "state", source)
    (source / "more.yaml").write_text("tenants: {initech: {models: [small]}}")
    _, after = prepare(tmp_path / "state", source)
    assert set(after) == {"acme", "globex", "initech"}
    assert before.items() <= after.items()


@pytest.mark.parametrize("damage", ["", "[]", '{"acme": 1}', "{"])
def test_a_damaged_file_of_keys_is_not_overwritten(source: Path, tmp_path: Path, damage: str) -> None:
    prepare(tmp_path / "state", source)
    path = tmp_path / "state" / KEYS_FILE
    path.write_text(damage)
    with pytest.raises(ConfigError, match="damaged"):
        prepare(tmp_path / "state", source)
    assert path.read_text() == damage


def test_a_model_that_is_not_there_is_told_before_anything_is_written(source: Path, tmp_path: Path) -> None:
    (source / "demo.yaml").write_text("backends: {chat: {kind: embedded, model: nowhere.gguf}}")
    with pytest.raises(ConfigError, match=r"nowhere\.gguf"):
        prepare(tmp_path / "state", source)
    assert not (tmp_path / "state").exists()


def test_the_shipped_demo_has_a_tenant_for_everything_and_one_for_less() -> None:
    config = load(source_folder())
    wide, narrow = config.tenants.values()
    assert wide.models == ("*",)
    assert set(narrow.models) < set(config.models)


def test_the_ops_port_is_the_usual_one_unless_somebody_has_it() -> None:
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        taken = f"127.0.0.1:{somebody.getsockname()[1]}"
        somebody.listen()
        assert free_address(taken) == "127.0.0.1:0"
    assert free_address(taken) == taken
