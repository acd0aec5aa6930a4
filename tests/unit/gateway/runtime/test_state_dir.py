"""gateway.runtime.state_dir"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gateway.runtime.failures import StartFailed
from gateway.runtime.state_dir import (
    LONGEST_SOCKET_PATH,
    Addresses,
    StateDir,
    make_socket_folder,
    owner,
    published,
    secret,
    socket_path,
    state_id,
)


def test_a_directory_that_is_taken_cannot_be_taken_again_until_it_is_released(tmp_path: Path) -> None:
    first = StateDir.take(tmp_path / "state")
    with pytest.raises(StartFailed, match=f"process {os.getpid()}"):
        StateDir.take(tmp_path / "state")
    first.release()
    StateDir.take(tmp_path / "state").release()


def test_the_lock_lasts_until_its_last_holder_ends(tmp_path: Path) -> None:
    first = StateDir.take(tmp_path)
    inherited = os.dup(first.lock_fd)  # as a worker has it
    first.release()
    with pytest.raises(StartFailed):
        StateDir.take(tmp_path)
    os.close(inherited)
    StateDir.take(tmp_path).release()


def test_the_secret_stays_the_same_and_is_for_its_owner_only(tmp_path: Path) -> None:
    StateDir.take(tmp_path).release()
    before = secret(tmp_path)
    StateDir.take(tmp_path).release()
    assert secret(tmp_path) == before
    assert len(before) == 32
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_the_addresses_are_published_while_it_is_held(tmp_path: Path) -> None:
    state = StateDir.take(tmp_path)
    assert published(tmp_path) is None
    addresses = Addresses(pid=7, data="http://127.0.0.1:1", ops="http://127.0.0.1:2")
    state.publish(addresses)
    assert published(tmp_path) == addresses
    state.release()
    assert published(tmp_path) is None


def test_a_directory_that_was_made_for_nothing_is_removed_and_one_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for place in ("there", "new/deep/state"):
        state = StateDir.take(tmp_path / place)
        state.undo()
        state.release()
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path / "there" / "secret").exists()


def test_what_others_put_beside_it_meanwhile_stays(tmp_path: Path) -> None:
    state = StateDir.take(tmp_path / "new" / "a")
    (tmp_path / "new" / "b").mkdir()
    state.undo()
    state.release()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["b"]


def test_a_socket_lies_in_the_state_directory_unless_that_is_too_deep(tmp_path: Path) -> None:
    assert socket_path(Path("/s"), "small", "1a2b") == Path("/s/run/small-1a2b.sock")
    deep = Path("/", *("d" * 30 for _ in range(4)))
    short = socket_path(deep, "small", "1a2b")
    assert len(os.fsencode(short)) <= LONGEST_SOCKET_PATH
    assert short == socket_path(deep, "small", "1a2b")
    assert short != socket_path(deep, "small", "1a2c")
    assert short.suffix == ".sock"  # llama.cpp's server tells a path from a host by it


def test_a_socket_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    make_socket_folder(tmp_path / "own" / "a.sock")
    assert stat.S_IMODE((tmp_path / "own").stat().st_mode) == 0o700
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(StartFailed, match="open"):
        make_socket_folder(tmp_path / "open" / "a.sock")


def test_a_state_directory_keeps_its_name_and_owners_are_called_by_it(tmp_path: Path) -> None:
    first = StateDir.take(tmp_path / "a")
    name = state_id(tmp_path / "a")
    first.release()
    StateDir.take(tmp_path / "a").release()
    assert state_id(tmp_path / "a") == name
    StateDir.take(tmp_path / "b").release()
    assert state_id(tmp_path / "b") != name
    assert owner(tmp_path / "a", "0-0193") == f"{name}:0-0193"
