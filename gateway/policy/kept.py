"""Answers that a backend keeps (`store` of the Responses API): where one is, and whose, stands in its id.

The gateway names the answer before it is made: `resp_`, the request's id, a tag of the endpoint and a code over both
that needs the gateway's secret and the tenant's name. So a request that continues an answer finds its replica without
anything being remembered here, by any worker and after a restart; an id that another tenant was given opens nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

from gateway.policy.balance import EndpointView

_NAME = re.compile(r"resp_([0-9a-f]{1,64})_([0-9a-f]{16})_([0-9a-f]{32})")


def name(secret: bytes, tenant: str, endpoint: EndpointView, request_id: str) -> str:
    """The id of the answer that `endpoint` will make to this request (`RequestIds`)."""
    serial, tag = request_id.removeprefix("req_"), f"{endpoint.weight_hash:016x}"
    return f"resp_{serial}_{tag}_{_code(secret, tenant, serial, tag)}"


def masks(secret: bytes, tenant: str, request_id: str) -> str:
    """The name under which the values are kept that were masked up to the answer to this request."""
    serial = request_id.removeprefix("req_")
    return hmac.new(secret, f"masks,{serial},{tenant}".encode(), hashlib.sha256).hexdigest()


def request_of(response_id: str) -> str | None:
    """The id of the request that this answer was made to; None for an id that was not given here."""
    found = _NAME.fullmatch(response_id)
    return None if found is None else f"req_{found[1]}"


def place(secret: bytes, tenant: str, response_id: str, endpoints: Sequence[EndpointView]) -> int | None:
    """The index of the endpoint that keeps an answer of this tenant's; None for an id that was not given to it, and
    where the endpoint is no longer one.
    """
    found = _NAME.fullmatch(response_id)
    if found is None:
        return None
    serial, tag, code = found.groups()
    if not hmac.compare_digest(code, _code(secret, tenant, serial, tag)):
        return None
    return next((each.index for each in endpoints if f"{each.weight_hash:016x}" == tag), None)


def _code(secret: bytes, tenant: str, serial: str, tag: str) -> str:
    """HMAC-SHA256 (RFC 2104), cut to 128 bits; serial and tag are hexadecimal, so the commas separate."""
    return hmac.new(secret, f"kept,{serial},{tag},{tenant}".encode(), hashlib.sha256).hexdigest()[:32]
