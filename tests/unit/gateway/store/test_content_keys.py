"""Keys of content: each locked, each opened by who has what locked it, and gone when they are destroyed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gateway.store.content_keys import ContentKeys, KeyAway
from tests.support.contents import a_state_dir, in_any_file

NONCE = bytes(12)
ACME = {"ACME_KEY": "k" * 32}


@pytest.fixture
def keys(tmp_path: Path) -> ContentKeys:
    return ContentKeys(a_state_dir(tmp_path), ACME)


def test_each_end_user_has_one_key_that_lasts(tmp_path: Path, keys: ContentKeys) -> None:
    key_id, key = keys.of("acme", "joe", "")
    locked = key.encrypt(NONCE, b"hello", None)
    others = [keys.of(*whose)[0] for whose in (("acme", "", ""), ("acme", "ann", ""), ("globex", "joe", ""))]
    assert len({key_id, *others}) == 4
    keys.close()
    again = ContentKeys(tmp_path, {})
    assert again.of("acme", "joe", "")[0] == key_id
    found = again.by_id(key_id)
    assert found is not None
    assert found.decrypt(NONCE, locked, None) == b"hello"
    assert stat.S_IMODE((tmp_path / "content-keys").stat().st_mode) == 0o600
    again.close()


def test_a_key_of_a_tenant_is_opened_by_its_secret_only(tmp_path: Path, keys: ContentKeys) -> None:
    key_id, _ = keys.of("acme", "joe", "${ACME_KEY}")
    assert key_id != keys.of("acme", "joe", "")[0]
    for environ, told in (
        ({}, "ACME_KEY is not set"),
        ({"ACME_KEY": "o" * 32}, "not the one"),
        ({"ACME_KEY": "short"}, "fewer"),
    ):
        other = ContentKeys(tmp_path, environ)
        with pytest.raises(KeyAway, match=told):
            other.by_id(key_id)
        other.close()
    keys.close()


def test_keys_that_are_destroyed_are_not_in_the_file_any_more(tmp_path: Path, keys: ContentKeys) -> None:
    joe, ann, globex = keys.of("acme", "joe", "")[0], keys.of("acme", "ann", "")[0], keys.of("globex", "joe", "")[0]
    assert keys.erase("acme", "joe", 1_000) == 1
    assert (keys.by_id(joe), keys.by_id(ann) is None, keys.by_id(globex) is None) == (None, False, False)
    assert (keys.erased_ns("acme", "joe"), keys.erased_ns("acme", "ann"), keys.erased_ns("globex", "joe")) == (
        1_000,
        0,
        0,
    )
    assert keys.erase("acme", None, 2_000) == 1
    assert (keys.erased_ns("acme", "joe"), keys.erased_ns("acme", "")) == (2_000, 2_000)
    assert in_any_file(tmp_path, joe.encode()) == in_any_file(tmp_path, ann.encode()) == []
    assert in_any_file(tmp_path, globex.encode()) == ["content-keys"]
    assert keys.of("acme", "joe", "")[0] != joe
    keys.close()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "content-keys").write_bytes(os.urandom(4_096))
    with pytest.raises(OSError, match="content-keys"):
        ContentKeys(tmp_path, {})
