"""What serves models: a `Backend` of one kind with its endpoints, each with its pool, its load and its health.

Every kind of this layer speaks OpenAI's paths over HTTP/1.1; a `Dialect` holds what differs between kinds, as data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gateway.backends.pool import Address, Pool
from gateway.errors import ConnectFailed, GatewayError
from gateway.policy import health
from gateway.policy.attempts import RetryBudget
from gateway.policy.balance import EndpointView, weight_hash
from gateway.policy.overhead import Overhead
from gateway.wire import denied
from gateway.wire.body import Fields

RULES = health.Rules()


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between kinds of backends.

    `speaks` names the endpoints it has (a codec's `endpoint`); all others are translated for it, where they can be.
    `refuse` raises InvalidRequest for body fields that a caller may not send to it; `salts` says that it understands
    `cache_salt`, which separates the prefix caches of tenants; `health_path` answers 200 while it can serve, at no
    cost. `running_usage`: the endpoints whose streams tell in every frame what was used so far, when the body asks for
    it with `stream_options: {include_usage: true, continuous_usage_stats: true}`: `usage.completion_tokens` of the
    choice the frame belongs to, a running sum (the frame at the end, without choices, has the sum of all choices). vLLM
    counts there what its engine produced, also tokens it shows no text of; one frame may carry several. `tokenizes`: it
    counts what a call's input has, when asked (`wire.tokenize`).
    """

    speaks: frozenset[str]
    refuse: Callable[[Fields], None]
    salts: bool
    health_path: bytes = b"/health"
    running_usage: frozenset[str] = frozenset()
    tokenizes: bool = False


OPENAI_CLASSIC = frozenset(("chat", "completions", "embeddings"))
"""What every server has that calls itself OpenAI-compatible."""
ANTHROPIC = frozenset(("messages", "messages_count"))
RUNNING_USAGE = frozenset(("chat", "completions"))
VLLM_OWN = frozenset(("responses", "rerank", "score", "transcriptions"))
"""llama.cpp has a path for responses too, but its answers leave out what callers need: it says of an answer that was
cut that it is complete, does not keep to `text.format`, and its events do not say which item they belong to.
"""


DIALECTS: Mapping[str, Dialect] = {
    "vllm": Dialect(
        OPENAI_CLASSIC | ANTHROPIC | VLLM_OWN,
        refuse=denied.refuse,
        salts=True,
        running_usage=RUNNING_USAGE,
        tokenizes=True,
    ),
    "v2": Dialect(frozenset(("infer",)), refuse=denied.refuse, salts=False, health_path=b"/v2/health/ready"),
    "embedded": Dialect(OPENAI_CLASSIC | ANTHROPIC, refuse=denied.refuse, salts=False),
    "provider": Dialect(OPENAI_CLASSIC, refuse=denied.refuse, salts=False),
    "fake": Dialect(OPENAI_CLASSIC, refuse=denied.refuse, salts=False, running_usage=RUNNING_USAGE, tokenizes=True),
}


class Endpoint:
    """One replica: its connections, how many requests it runs for this worker, and its circuit breaker."""

    __slots__ = ("_calm", "_calm_since_s", "_head_start", "drained", "health", "heard_s", "name", "pool", "view")

    def __init__(self, index: int, name: str, pool: Pool, api_key: str | None) -> None:
        self.name = name
        self.pool = pool
        self.view = EndpointView(index, name, 0, True, weight_hash(name))
        self.health = health.HEALTHY
        self._calm = 0
        self._calm_since_s = 0.0
        self.heard_s = 0.0
        self.drained = False  # an operator's word: nothing new is sent here
        authorization = b"authorization: Bearer %b\r\n" % api_key.encode() if api_key else b""
        self._head_start = b" HTTP/1.1\r\nhost: %b\r\nuser-agent: lockgate\r\naccept: */*\r\n%bx-request-id: " % (
            pool.address.host_header,
            authorization,
        )

    def head(
        self,
        path: bytes,
        request_id: str,
        traceparent: str,
        content_type: bytes,
        length: int,
        method: bytes = b"POST",
        more: bytes = b"",
    ) -> bytes:
        """The head of a request to this endpoint. Nothing of the caller's headers passes but a valid `traceparent`;
        `more` is whole lines that belong to the body's format.
        """
        trace = b"\r\ntraceparent: " + traceparent.encode("ascii") if traceparent else b""
        start = method + b" " + self.pool.address.base + path + self._head_start
        return b"%b%b%b\r\ncontent-type: %b\r\n%bcontent-length: %d\r\n\r\n" % (
            start,
            request_id.encode("ascii"),
            trace,
            content_type,
            more,
            length,
        )

    def admitted(self, now: float) -> None:
        """A request is about to be sent: the trial, if the circuit was open."""
        if self.health.state != "closed":
            self.health = health.after(self.health, "admitted", now, RULES)

    def tell(self, error: GatewayError | None, now: float) -> None:
        """How a request ended; None is well."""
        self.heard_s = now
        if error is None and self.health is health.HEALTHY:
            self._calm += 1  # the same count as `health.after` keeps, without an object per request
            return
        event = health.event_of(error)
        if event is not None:
            if self.health is health.HEALTHY:
                self.health, self._calm = health.calm(self._calm, now), 0
            self.health = health.after(self.health, event, now, RULES)

    def tell_end(self, error: BaseException, now: float, *, reused: bool) -> None:
        """How a request ended that brought no verdict on its answer: no connection, no answer in time, or cancelled."""
        if reused and isinstance(error, ConnectFailed):
            return  # it closed an idle connection while we wrote: no sign of ill health
        if isinstance(error, GatewayError):
            self.tell(error, now)
        else:
            self.health = health.after(self.health, "abandoned", now, RULES)

    def tick(self, now: float) -> None:
        """Deadlines and idle connections; a window without a failure is forgotten."""
        self.pool.tick(now)
        if now - self._calm_since_s >= RULES.window_s:
            self._calm, self._calm_since_s = 0, now
            self.health = health.settled(self.health, now, RULES)

    def probed(self, healthy: bool, now: float) -> None:
        """What a probe found."""
        self.health = health.after(self.health, "probe_ok" if healthy else "probe_failed", now, RULES)


class Backend:
    """A named backend: kind, dialect, endpoints and retry budget. Reused across reloads while its configuration stays
    the same.
    """

    __slots__ = ("_overheads", "dialect", "endpoints", "keeps_responses", "kind", "name", "retries", "seen")

    def __init__(
        self, name: str, kind: str, endpoints: tuple[Endpoint, ...], retries: RetryBudget, keeps_responses: bool
    ) -> None:
        self.name = name
        self.kind = kind
        self.dialect = DIALECTS[kind]
        self.endpoints = endpoints
        self.retries = retries
        self.keeps_responses = keeps_responses
        self.seen = [endpoint.view for endpoint in endpoints]
        self._overheads: dict[str, Overhead] = {}

    def views(self, now: float) -> list[EndpointView]:
        """What a choice looks at, as of now."""
        for endpoint in self.endpoints:
            state = endpoint.health
            well = state is health.HEALTHY or health.available(state, now)
            endpoint.view.available = well and not endpoint.drained
        return self.seen

    def overhead(self, served_model: str) -> Overhead:
        """What this model's chat template adds, as far as is known: the same object each time."""
        found = self._overheads.get(served_model)
        if found is None:
            found = self._overheads[served_model] = Overhead()
        return found

    def loads(self) -> list[int]:
        """The outstanding requests of every endpoint, in order."""
        seen = self.seen
        return [seen[0].outstanding] if len(seen) == 1 else [view.outstanding for view in seen]

    def tick(self, now: float) -> None:
        """Deadlines and idle connections; called a few times a second."""
        for endpoint in self.endpoints:
            endpoint.tick(now)

    def close(self) -> None:
        """Lets running requests end and closes the rest."""
        for endpoint in self.endpoints:
            endpoint.pool.close()


def build(
    name: str,
    kind: str,
    urls: Sequence[str],
    api_key: str | None,
    connect_s: float,
    retry_share: float,
    keeps_responses: bool = False,
    now: Callable[[], float] = time.monotonic,
) -> Backend:
    """A backend with one endpoint per url. Raises ValueError for a url that is none."""
    endpoints = tuple(
        Endpoint(index, url, Pool(Address(url), connect_s, now), api_key) for index, url in enumerate(urls)
    )
    return Backend(name, kind, endpoints, RetryBudget(retry_share, now()), keeps_responses)
