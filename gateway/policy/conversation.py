"""Which conversation a request belongs to, as a short key: the turns of one go to the replica whose cache already holds
the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from gateway.wire.call import Call

HEADER: Final = b"x-lockgate-conversation-id"

KEY_BYTES: Final = 16


def conversation_key(tenant: str, header: bytes | None, call: Call, opening: Callable[[Call], bytes]) -> bytes | None:
    """KEY_BYTES that all requests of a conversation share; None when nothing tells (then any replica is as good).

    In this order: the id in the header, the id in the body, the bytes the conversation opens with (`Codec.opening`,
    asked for only then). Always together with the tenant, so that no tenant can find or crowd another's replica by
    using its ids.
    """
    if header:
        return _digest(b"header", tenant, header)
    if call.conversation is not None:
        return _digest(b"body", tenant, call.conversation.encode())
    opens = opening(call)
    return _digest(b"opening", tenant, opens) if opens else None


def names_of(tenant: str, own: str) -> tuple[str, ...]:
    """The hexadecimal keys that a conversation which its caller names `own` may have on record."""
    return tuple(_digest(source, tenant, own.encode()).hex() for source in (b"header", b"body"))


def _digest(source: bytes, tenant: str, text: bytes) -> bytes:
    """`source` keeps ids of different origin apart; a tenant's name has no NUL."""
    return hashlib.sha256(b"%b\0%b\0%b" % (source, tenant.encode(), text)).digest()[:KEY_BYTES]
