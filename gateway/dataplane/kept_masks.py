"""The masked values of a conversation that a backend keeps, between its requests: kept by the check process under the
id of each answer (`offload.masks`), for all workers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from gateway.backends.waiter import Waiter
from gateway.dataplane.gateway import Gateway
from gateway.offload import masks
from gateway.policy import kept
from guardrails.check import Need

PATIENCE_MS = 1_000


async def recall(gw: Gateway, tenant: str, response_id: str) -> Mapping[str, str]:
    """The values, by placeholder, of the conversation up to this answer of the tenant's; none where none are kept."""
    request_id = kept.request_of(response_id)
    if request_id is None:
        return {}
    found = await _asked(gw, gw.masks_of(tenant, request_id), "")
    return json.loads(found) if isinstance(found, bytes) and found else {}


async def keep(gw: Gateway, tenant: str, request_id: str, values: Mapping[str, str]) -> None:
    """Keeps them for who goes on from the answer to this request. Where nobody can keep them they are not."""
    await _asked(gw, gw.masks_of(tenant, request_id), json.dumps(dict(values)))


async def _asked(gw: Gateway, place: str, text: str) -> object | None:
    if gw.checks is None:
        return None
    waiter: Waiter[object | None] = Waiter()
    gw.checks.ask(
        Need(masks.KIND, place, text, 0),
        PATIENCE_MS,
        lambda value, failure: None if waiter.done else waiter.set(value),
    )
    return await waiter
