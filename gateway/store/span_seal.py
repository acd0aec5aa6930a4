"""What locks spans while they wait to be stored: keys of some minutes, beside what they lock.

    STATE/traces/incoming/<16 hexadecimal digits>.key

Spans hold what was said, and the table keeps nothing of that: who gets hold of a file, or of a disk that held one,
cannot read it any more once its key is gone. Without cryptography (the extras `otel` and `content` have it) they wait
as they came.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_S: Final = 600.0
"""How long a worker locks with one key; it may be removed after twice as long, when nothing waits that it locks."""
_NONCE: Final = 12
_SUFFIX: Final = ".key"


class Seal:
    """A worker's side."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = ""
        self._until_s = 0.0
        self._key: AESGCM | None = None

    def locked(self, data: bytes) -> tuple[str, bytes]:
        """The name of a key and what it makes of `data`; no name and `data` itself without cryptography. Raises
        OSError."""
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            return "", data
        # It is gone too soon where the machine's clock was set ahead.
        if self._key is None or time.monotonic() >= self._until_s or not _path(self._folder, self._name).exists():
            name, secret = secrets.token_hex(8), AESGCM.generate_key(256)
            write_private(_path(self._folder, name), secret)
            self._name, self._key, self._until_s = name, AESGCM(secret), time.monotonic() + KEY_S
        nonce = os.urandom(_NONCE)
        return self._name, nonce + self._key.encrypt(nonce, data, None)


def opened(folder: Path, name: str, data: bytes) -> bytes:
    """What `Seal.locked` was given. Raises ValueError where that key does not open it, or cannot be had."""
    if not name:
        return data
    try:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise ValueError("it is locked: pip install 'lockgate[content]'") from error
    try:
        return AESGCM(_path(folder, name).read_bytes()).decrypt(data[:_NONCE], data[_NONCE:], None)
    except (OSError, InvalidTag) as error:
        raise ValueError(f"the key {name} does not open it") from error


def forget_keys(folder: Path, used: Container[str]) -> None:
    """Removes the keys that no worker locks with any more, but for those in use."""
    for path in folder.glob(f"*{_SUFFIX}"):
        if path.name.removesuffix(_SUFFIX) not in used and _is_old(path):
            path.unlink(missing_ok=True)


def write_private(path: Path, data: bytes) -> None:
    """A file that only this user may read. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}{_SUFFIX}"


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > 2 * KEY_S
    except FileNotFoundError:
        return False
