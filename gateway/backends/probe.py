"""Asks endpoints that look unwell for their health, at no cost to anyone: `GET /health`, never a paid completion.

Requests themselves are the first source (passive health). Probes find out when an endpoint whose circuit is open can
serve again, and notice one that went away while nobody asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from gateway.backends.base import Backend, Endpoint
from gateway.clock import within
from gateway.errors import UpstreamError

EVERY_S = 2.0
TIMEOUT_S = 2.0


class ProbeLimits:
    """A health answer is short and soon, or none."""

    answer = 64 * 1024
    first_byte_s = TIMEOUT_S
    idle_s = TIMEOUT_S


async def probe(endpoint: Endpoint, path: bytes) -> str | None:
    """None when the endpoint answers its health path with 200 within two seconds, on a connection of its own; else what
    happened, in words for an operator.
    """
    try:
        connection = await within(endpoint.pool.connect(alone=True), TIMEOUT_S)
    except TimeoutError:
        return f"no connection within {TIMEOUT_S:g} s"
    except UpstreamError as error:
        return str(error)
    now = connection.now()
    address = endpoint.pool.address
    head = b"GET %b%b HTTP/1.1\r\nhost: %b\r\nuser-agent: lockgate\r\naccept: */*\r\nconnection: close\r\n\r\n" % (
        address.base,
        path,
        address.host_header,
    )
    try:
        reply = await connection.request(
            head,
            b"",
            False,
            limits=ProbeLimits(),
            total_deadline_s=now + TIMEOUT_S,
            now=now,
        ).in_task()
    except UpstreamError as error:
        return str(error)
    finally:
        connection.abort()
    return None if reply.status == 200 else f"its health path answered {reply.status}"


async def watch(
    backends: Callable[[], Mapping[str, Backend]],
    due: Callable[[Endpoint], bool],
    told: Callable[[Endpoint, str | None], None],
) -> None:
    """Probes, now and then every two seconds and all at once, the endpoints for which `due` says so, and tells what
    came out, as `probe` does. Runs until cancelled.
    """
    while True:
        asked = [
            (endpoint, backend.dialect.health_path)
            for backend in backends().values()
            for endpoint in backend.endpoints
            if due(endpoint)
        ]
        answers = await asyncio.gather(*(probe(endpoint, path) for endpoint, path in asked))
        for (endpoint, _), problem in zip(asked, answers, strict=True):
            told(endpoint, problem)
        await asyncio.sleep(EVERY_S)
