"""Whether an answer through the gateway is the one the server gives directly, and where it is meant to differ."""

from __future__ import annotations

from typing import Any

from tests.contract.results import differences


def disagreements(direct: Any, through: Any) -> list[str]:
    """Where the two results differ though they should not.

    One difference is meant: what a server calls its own failure (5xx) is the gateway's 502, 503 or 504 in OpenAI's
    shape, since another backend may serve the request, and a server's failure may say more than a caller should read.
    """
    if isinstance(direct, dict) and "raised" in direct and (direct["status"] or 0) >= 500:
        status = through.get("status") if isinstance(through, dict) else None
        if status in (502, 503, 504) and through["body"]["type"] == "upstream_error":
            return []
        return [f"the server failed with {direct['status']}, which came through as {through}"]
    return differences(direct, through)
