"""The keys of kept content: one for each end user of a tenant, locked themselves, in a file of their own.

    STATE/content-keys        SQLite; what is removed is overwritten in it

Who destroys a key destroys what it locks, wherever copies of that are. What locks a key is made of the secret that
the tenant's policy names (`${NAME}`, which is only in the environment), else of the state directory's.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.config import units

LEAST_SECRET_CHARS: Final = 32
_NONCE: Final = 12
_PATIENCE_S: Final = 10.0
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, end_user TEXT NOT NULL,
                                 wrap TEXT NOT NULL, locked BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS keys_of ON keys (tenant, end_user, wrap);
CREATE TABLE IF NOT EXISTS erased (tenant TEXT NOT NULL, end_user TEXT, at_ns INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS erased_of ON erased (tenant);
"""


class KeyAway(Exception):
    """What locks a key is not to be had, or is another. Says what to do."""


class ContentKeys:
    """The file, opened. Several processes may have it open."""

    def __init__(self, state_dir: Path, environ: Mapping[str, str]) -> None:
        """Raises OSError."""
        path = state_dir / "content-keys"
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._secret = state_dir / "secret"
        self._environ = environ
        try:
            self._database = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False)
            for pragma in ("secure_delete = ON", "journal_mode = DELETE", "synchronous = FULL"):
                self._database.execute(f"PRAGMA {pragma}")
            self._database.executescript(_TABLES)
        except sqlite3.Error as error:
            raise OSError(f"{path}: {error}") from error

    def close(self) -> None:
        """It may not be asked for anything after."""
        self._database.close()

    def of(self, tenant: str, end_user: str, wrap: str) -> tuple[str, AESGCM]:
        """The key for new content and its id; made, and on the disk, when there is none. Raises KeyAway, OSError."""
        try:
            known = self._row("tenant = ? AND end_user = ? AND wrap = ?", tenant, end_user, wrap)
            if known is None:
                key_id, key = secrets.token_hex(8), AESGCM.generate_key(256)
                nonce = os.urandom(_NONCE)
                locked = nonce + self._lock(tenant, wrap).encrypt(nonce, key, _about(key_id, tenant, end_user))
                self._database.execute(
                    "INSERT OR IGNORE INTO keys VALUES (?, ?, ?, ?, ?)", (key_id, tenant, end_user, wrap, locked)
                )
                known = self._row("tenant = ? AND end_user = ? AND wrap = ?", tenant, end_user, wrap)
        except sqlite3.Error as error:
            raise OSError(f"the keys of content: {error}") from error
        if known is None:
            raise OSError("the keys of content: another process removes them")
        return known[0], self._unlocked(*known)

    def by_id(self, key_id: str) -> AESGCM | None:
        """A key by its id; None where it was destroyed. Raises KeyAway, OSError."""
        try:
            known = self._row("id = ?", key_id)
        except sqlite3.Error as error:
            raise OSError(f"the keys of content: {error}") from error
        return None if known is None else self._unlocked(*known)

    def erase(self, tenant: str, end_user: str | None, now_ns: int) -> int:
        """Destroys the keys of a tenant, or of one of its end users; how many there were. Content of requests that
        began up to now is kept no more, wherever it still is. Durable when this returns. Raises OSError."""
        whose, values = (
            ("tenant = ?", (tenant,))
            if end_user is None
            else (
                "tenant = ? AND end_user = ?",
                (tenant, end_user),
            )
        )
        try:
            with closing(self._database.cursor()) as cursor:
                cursor.execute("BEGIN IMMEDIATE")
                cursor.execute("INSERT INTO erased VALUES (?, ?, ?)", (tenant, end_user, now_ns))
                count = cursor.execute(f"DELETE FROM keys WHERE {whose}", values).rowcount
                cursor.execute("COMMIT")
        except sqlite3.Error as error:
            raise OSError(f"the keys of content: {error}") from error
        return count

    def erased_ns(self, tenant: str, end_user: str) -> int:
        """Up to when what was said is erased; 0 for never. Raises OSError."""
        try:
            found = self._database.execute(
                "SELECT max(at_ns) FROM erased WHERE tenant = ? AND (end_user IS NULL OR end_user = ?)",
                (tenant, end_user),
            ).fetchone()
        except sqlite3.Error as error:
            raise OSError(f"the keys of content: {error}") from error
        return found[0] or 0

    def _row(self, where: str, *values: str) -> tuple[str, str, str, str, bytes] | None:
        found: tuple[str, str, str, str, bytes] | None = self._database.execute(
            f"SELECT id, tenant, end_user, wrap, locked FROM keys WHERE {where}", values
        ).fetchone()
        return found

    def _unlocked(self, key_id: str, tenant: str, end_user: str, wrap: str, locked: bytes) -> AESGCM:
        try:
            about = _about(key_id, tenant, end_user)
            return AESGCM(self._lock(tenant, wrap).decrypt(locked[:_NONCE], locked[_NONCE:], about))
        except (InvalidTag, ValueError):
            whose = f"the secret {wrap}" if wrap else f"the secret of {self._secret.parent}"
            raise KeyAway(f"{whose} is not the one that this content of {tenant} was locked with") from None

    def _lock(self, tenant: str, wrap: str) -> AESGCM:
        if wrap:
            try:
                secret = units.resolve_env(wrap, self._environ).encode()
            except ValueError as error:
                raise KeyAway(f"content of {tenant} is locked with a key of its own: {error}") from None
            if len(secret) < LEAST_SECRET_CHARS:
                raise KeyAway(
                    f"{wrap}, which locks content of {tenant}, has fewer than {LEAST_SECRET_CHARS} characters"
                )
        else:
            secret = self._secret.read_bytes()
        return AESGCM(hmac.digest(secret, b"content of " + tenant.encode(), hashlib.sha256))


def _about(key_id: str, tenant: str, end_user: str) -> bytes:
    """What a locked key belongs to: it opens nowhere else."""
    return f"{key_id}\0{tenant}\0{end_user}".encode("utf-8", "surrogatepass")
