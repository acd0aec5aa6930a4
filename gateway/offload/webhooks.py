"""Asks a webhook for a score: one signed POST, no redirects, no second try.

    POST URL
    content-type: application/json
    lockgate-timestamp: 1795363200
    lockgate-signature: v1=HEX

    {"check": "NAME", "text": "…"}        →  200 {"score": 0.25}

HEX is the HMAC-SHA256, under the webhook's secret, of the timestamp, a dot, and the body's bytes. Who receives it
computes the same, compares in constant time, and refuses a timestamp that is minutes old.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import socket
import threading
import time
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from gateway.offload.frames import LATE, UNAVAILABLE, Question
from gateway.offload.lanes import Unanswered

LONGEST_ANSWER: Final = 64 << 10
SIGNATURE: Final = "lockgate-signature"
TIMESTAMP: Final = "lockgate-timestamp"


class Hook(NamedTuple):
    """A webhook."""

    url: str
    """http or https; the server's certificate is checked against the system's."""
    secret: str


class _Score(msgspec.Struct):
    score: float


class Webhooks:
    """All there are, by name."""

    def __init__(self, hooks: Mapping[str, Hook]) -> None:
        self.hooks = hooks

    def answer(self, question: Question) -> object:
        """The work of a lane: a score. Raises `Unanswered`."""
        hook = self.hooks.get(question.name)
        if hook is None:
            raise Unanswered
        # A lone surrogate is no JSON that every receiver takes, and a text it refuses would be one it did not judge.
        text = question.text.decode("utf-8", "replace")
        body = msgspec.json.encode({"check": question.name, "text": text})
        try:
            status, answer = _post(hook, body, question.until_s)
        except (OSError, http.client.HTTPException, ValueError):
            raise Unanswered(_why(question)) from None
        score = _score(status, answer)
        if score is None:
            raise Unanswered(_why(question))
        return score


def _why(question: Question) -> str:
    return LATE if time.monotonic() >= question.until_s else UNAVAILABLE


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """What the header says."""
    return "v1=" + hmac.new(secret.encode(), b"%d.%b" % (timestamp, body), hashlib.sha256).hexdigest()


def _score(status: int, answer: bytes) -> float | None:
    """None: it is none."""
    if status != 200 or len(answer) > LONGEST_ANSWER:
        return None
    try:
        score = msgspec.json.decode(answer, type=_Score).score
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return score if 0 <= score <= 1 else None


def _post(hook: Hook, body: bytes, until_s: float) -> tuple[int, bytes]:
    """Status and body. Raises OSError, HTTPException or ValueError, also when `until_s` has come."""
    url = urlsplit(hook.url)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=_left(until_s))
    try:
        connection.connect()
        # A receiver that says a byte now and then never lets a socket's own timeout come.
        cutting = threading.Timer(_left(until_s), _cut, (connection.sock,))
        cutting.daemon = True
        cutting.start()
        try:
            now = int(time.time())
            headers = {
                "content-type": "application/json",
                "user-agent": "lockgate",
                TIMESTAMP: str(now),
                SIGNATURE: signature(hook.secret, now, body),
            }
            target = (url.path or "/") + (f"?{url.query}" if url.query else "")
            connection.request("POST", target, body, headers)
            response = connection.getresponse()
            return response.status, response.read(LONGEST_ANSWER + 1)
        finally:
            cutting.cancel()
    finally:
        connection.close()


def _cut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has ended
        sock.shutdown(socket.SHUT_RDWR)


def _left(until_s: float) -> float:
    return max(0.001, until_s - time.monotonic())
