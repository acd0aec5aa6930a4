"""A trace of requests for a simulation: what it says of each, what it does not, and the sums that come of it. Pure."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from gateway.config.model import Config, Key


class Assumptions(Struct, frozen=True):
    """What a trace does not say."""

    first_token_s: float = 0.5
    """From a request to the first token of its answer."""
    tokens_per_s: float = 50.0
    """How fast an answer is produced: with it, how long a request holds what it might still use."""
    bytes_per_token: float = 5.0
    """How large bodies are: the input that is held is a body's bytes."""
    streams: bool = True
    """Whether answers are streamed, and so can be metered as they run where the backend counts."""


class Request(Struct, frozen=True):
    """One request of a trace. Texts may be empty: `key` is then the tenant's first."""

    at_ns: int
    tenant: str
    model: str
    input_tokens: int
    output_tokens: int
    """What it would produce if nobody bounded it."""
    cached_tokens: int = 0
    """Of the input."""
    max_tokens: int | None = None
    """What the caller allows; None for no limit, 0 where nothing is generated."""
    key: str = ""
    project: str = ""
    end_user: str = ""
    conversation: str = ""
    held_input: int = 0
    """What its input was held as; 0: not known, so it is what is assumed."""
    lasts_s: float = 0.0
    """How long all of its answer took; 0: not known, so it is what is assumed."""
    streams: bool | None = None
    """None: as is assumed."""

    def moved(self, at_ns: int) -> Request:
        """The same at another time."""
        return msgspec.structs.replace(self, at_ns=at_ns)


class Counts(Struct):
    """Sums over requests, by when they began. Money is nano-dollars."""

    requests: int = 0
    served: int = 0
    refused_rate: int = 0
    """By a cap that frees itself (429 rate_limit_exceeded)."""
    refused_budget: int = 0
    """By one that does not before its window ends (429 insufficient_quota)."""
    refused_other: int = 0
    """No such model for this tenant, no price, no such project."""
    downgraded: int = 0
    clamped: int = 0
    """Answers that were bounded before they began."""
    shortened: int = 0
    """Of them, those that would have been longer."""
    cut: int = 0
    """Streams that ended before their answer did."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanos: int = 0
    asked_nanos: int = 0
    """What all would have cost, served whole by the model they asked for."""


def with_keys(config: Config) -> Config:
    """The configuration with a key for each tenant that has none: a trace needs no secret."""
    tenants = {
        name: tenant
        if tenant.keys
        else msgspec.structs.replace(tenant, keys={"simulated": Key(digest=f"simulated {name}".encode())})
        for name, tenant in config.tenants.items()
    }
    return msgspec.structs.replace(config, tenants=tenants)
