"""A short question to an endpoint on its own connections, such as how many tokens a text has. Nobody is blamed for what
comes back."""

from __future__ import annotations

from typing import Final

from gateway.backends.base import Endpoint
from gateway.backends.http1 import Connection
from gateway.backends.reply import Limits, Reply
from gateway.errors import UpstreamError
from gateway.wire.call import JSON

NO_ANSWER: Final = 0
"""The status of an answer that did not come."""


async def ask(
    endpoint: Endpoint,
    request_id: str,
    path: bytes,
    body: bytes,
    limits: Limits,
    within_s: float,
    now_s: float,
    method: bytes = b"POST",
) -> Reply:
    """The answer to this JSON; an empty one (`NO_ANSWER`) where there is none in time. Cancelled, it closes
    the connection.
    """
    head = endpoint.head(path, request_id, "", JSON, len(body), method)
    connection: Connection | None = None
    serial = 0
    try:
        connection = endpoint.pool.take() or await endpoint.pool.connect()
        waiter = connection.request(head, body, False, limits, now_s + within_s, now_s)
        serial = connection.requests_sent
        return await waiter.in_task()
    except UpstreamError:
        return Reply()
    finally:
        if connection is not None and connection.busy and connection.requests_sent == serial:
            connection.abort()
