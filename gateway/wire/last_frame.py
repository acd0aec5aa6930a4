"""What the gateway tells in the last frame of a stream beside what the format has there: a member of its event, which
clients keep or pass over; or, where the last frame is the bare `[DONE]`, a comment before it, which they do not see.
"""

from __future__ import annotations

from typing import Final

from gateway.wire.relay import DONE_FRAME

NAME: Final = b"lockgate"
_END: Final = b"}\n\n"


def member(told: bytes) -> bytes:
    """The member that tells this JSON."""
    return b'"%b":%b' % (NAME, told)


def noted(frames: bytes, told: bytes) -> bytes:
    """The last frames of a stream with this JSON told in them; unchanged where there is no place for it."""
    if frames.endswith(DONE_FRAME):
        return b"%b: %b %b\n\n%b" % (frames[: -len(DONE_FRAME)], NAME, told, DONE_FRAME)
    if frames.endswith(_END):
        return b"%b,%b%b" % (frames[: -len(_END)], member(told), _END)
    return frames
