"""Who asks: the key in the headers, looked up by its digest.

Keys are known by their SHA-256 only; a secret has 256 random bits, so a plain digest is as strong as a slow one would
be, and looking it up leaks nothing of use through timing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from gateway.config.snapshot_callers import Caller
from gateway.errors import Unauthenticated
from gateway.policy.terms import Terms

MESSAGE: Final = "no valid API key: send one as `authorization: Bearer KEY` or as `x-api-key: KEY`"
"""One message for a key that is missing, unknown, expired, revoked or ambiguous, so that none of these can be told from
the others.
"""

_CHALLENGE: Final = (("www-authenticate", "Bearer"),)


class Headers(dict[bytes, bytes]):
    """A request's headers by lower-case name, and what was found by them: requests of one connection may share
    them.
    """

    caller: Caller

    def __init__(self) -> None:
        super().__init__()
        self.looked_up_in: Mapping[bytes, Caller] | None = None
        """The keys `caller` was found among (a snapshot's, which never change); any others say nothing of it."""
        self.terms: Terms | None = None
        """On what terms its last request was let in, if they are those of all its requests to that model."""


def identify(keys: Mapping[bytes, Caller], headers: Headers, now_ns: int) -> Caller:
    """The caller whose key the headers hold; `keys` is by digest, `now_ns` is wall time.

    A key may come in either header; two different ones are refused rather than one of them chosen. Raises
    Unauthenticated.
    """
    if headers.looked_up_in is keys:
        caller = headers.caller
    else:
        caller = headers.caller = _look_up(keys, headers)
        headers.looked_up_in = keys
    if caller.expires_ns is not None and now_ns >= caller.expires_ns:
        raise Unauthenticated(MESSAGE, headers=_CHALLENGE)
    return caller


def _look_up(keys: Mapping[bytes, Caller], headers: Headers) -> Caller:
    secret = headers.get(b"x-api-key")
    authorization = headers.get(b"authorization")
    if authorization is not None and authorization[:7].lower() == b"bearer ":
        bearer = authorization[7:].strip(b" \t")
        if secret is not None and secret != bearer:
            raise Unauthenticated(MESSAGE, headers=_CHALLENGE)
        secret = bearer
    if secret:
        caller = keys.get(hashlib.sha256(secret).digest())
        if caller is not None:
            return caller
    raise Unauthenticated(MESSAGE, headers=_CHALLENGE)
