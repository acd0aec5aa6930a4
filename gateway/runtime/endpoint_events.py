"""Says when an endpoint goes out of service and when it is back: once for each change, as this worker sees it.

It looks from time to time at what requests and probes left behind, so that the path of a request pays nothing for it; a
change that is undone between two looks is not told.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.backends.base import Backend, Endpoint
from gateway.telemetry.logs import Log

NO_CONNECTION = "no connection could be made"
REQUESTS_FAIL = "requests to it fail"


class EndpointEvents:
    """Told of probes with `probed`; `look` compares with what was said before."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._out: dict[Endpoint, bool] = {}
        """What was said last of each endpoint there is."""
        self._probed: dict[Endpoint, str | None] = {}
        """What its last probe met."""
        self._answered: set[Endpoint] = set()
        """Endpoints that have been well since we know them."""

    def probed(self, endpoint: Endpoint, problem: str | None) -> None:
        """What a probe met; None is well."""
        self._probed[endpoint] = problem
        if problem is None:
            self._answered.add(endpoint)

    def new(self, endpoint: Endpoint) -> bool:
        """Was it never probed?"""
        return endpoint not in self._probed

    def look(self, backends: Mapping[str, Backend]) -> None:
        """Logs `endpoint_out_of_service` and `endpoint_back_in_service`."""
        before, self._out = self._out, {}
        for backend in backends.values():
            for endpoint in backend.endpoints:
                reason = self._why_out(backend, endpoint)
                self._out[endpoint] = reason is not None
                if self._out[endpoint] == before.get(endpoint, False):
                    continue
                if reason is None:
                    self._log.info("endpoint_back_in_service", backend=backend.name, endpoint=endpoint.name)
                else:
                    where = {"backend": backend.name, "endpoint": endpoint.name}
                    self._log.warning("endpoint_out_of_service", **where, reason=reason)
        self._probed = {endpoint: self._probed[endpoint] for endpoint in self._out if endpoint in self._probed}
        self._answered &= self._out.keys()

    def _why_out(self, backend: Backend, endpoint: Endpoint) -> str | None:
        """Why the endpoint is out of service; None when it is in."""
        health = endpoint.health
        if health.state == "closed":
            if health.in_a_row == 0 and not self.new(endpoint):
                self._answered.add(endpoint)
            # One that never answered yet is told at once, not when its circuit opens: its address may be wrong. Not so
            # the small servers beside us, which are started when we are and told of by who starts them.
            known = backend.kind not in ("vllm", "v2") or endpoint in self._answered
            return None if known else self._probed.get(endpoint)
        if health.reached:
            return REQUESTS_FAIL
        # A circuit that opened for want of a connection lets the next request try as soon as a probe is answered.
        return self._probed.get(endpoint, NO_CONNECTION)
