"""New secrets: for callers (keys) and for principals (tokens). A secret is shown once and kept nowhere; what is kept is
its SHA-256."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

KEY_PREFIX = "lg-"
TOKEN_PREFIX = "lga-"


@dataclass(frozen=True, repr=False)
class Issued:
    """A secret, and its hash as the configuration writes it."""

    secret: str
    hash: str


def new_key() -> Issued:
    """A fresh secret of a caller: `lg-` and 43 URL-safe characters that hold 256 random bits. The hash covers all of
    it, `lg-` included."""
    return _issued(KEY_PREFIX)


def new_token() -> Issued:
    """A fresh token of a principal: the same behind `lga-`."""
    return _issued(TOKEN_PREFIX)


def hash_of(secret: str) -> str:
    """`sha256:` and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(secret.encode()).hexdigest()


def _issued(prefix: str) -> Issued:
    secret = prefix + secrets.token_urlsafe(32)
    return Issued(secret, hash_of(secret))
