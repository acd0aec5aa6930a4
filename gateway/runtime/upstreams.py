"""The configured backends as the data plane's objects, reused over reloads for as long as nothing about them
changes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from gateway.backends import base
from gateway.config import archive
from gateway.config.model import Backend, Config, Servers, Vllm, kind_of
from gateway.runtime import children


class Upstreams:
    """Remembers what each backend was built from: an unchanged one keeps its connections, loads and health over a
    reload."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._built: dict[str, tuple[Backend, tuple[float, float], base.Backend]] = {}

    def build(self, config: Config) -> dict[str, base.Backend]:
        """All backends of `config`. Raises ConfigError for a `${NAME}` that is not set and leaves what was built before
        as it is."""
        resolved = archive.resolve_secrets(config, os.environ)
        how = (config.server.limits.connect_s, config.server.retries.share)
        built: dict[str, tuple[Backend, tuple[float, float], base.Backend]] = {}
        for name, backend in _in_service(resolved.backends):
            before = self._built.get(name)
            if before is not None and before[:2] == (backend, how):
                built[name] = before
            else:
                built[name] = (backend, how, self._make(name, backend, *how))
        self._built = built
        for name, backend in resolved.backends.items():
            if isinstance(backend, Servers):
                for endpoint, written in zip(built[name][2].endpoints, backend.endpoints, strict=True):
                    endpoint.drained = written.drained
        return {name: made for name, (_, _, made) in built.items()}

    def starting(self, endpoint: base.Endpoint) -> bool:
        """Is it a server beside us that does not listen yet? Who started it waits for it; a probe would only call it
        ill, and it would be left alone for a while after it is there."""
        beside = any(
            endpoint in made.endpoints for backend, _, made in self._built.values() if not isinstance(backend, Servers)
        )
        path = endpoint.pool.address.path
        return beside and path is not None and not Path(path).exists()

    def _make(self, name: str, backend: Backend, connect_s: float, retry_share: float) -> base.Backend:
        if isinstance(backend, Servers):
            urls, api_key = [endpoint.url for endpoint in backend.endpoints], backend.api_key
        else:
            urls, api_key = [children.address(self._state_dir, name, backend)], None
        keeps = isinstance(backend, Vllm) and backend.keeps_responses
        return base.build(name, kind_of(backend), urls, api_key, connect_s, retry_share, keeps)


def _in_service(backends: Mapping[str, Backend]) -> Iterator[tuple[str, Backend]]:
    """The backends with nothing drained: an endpoint that is keeps its connections, and what runs on them."""
    for name, backend in backends.items():
        if isinstance(backend, Servers) and any(endpoint.drained for endpoint in backend.endpoints):
            endpoints = tuple(msgspec.structs.replace(endpoint, drained=False) for endpoint in backend.endpoints)
            yield name, msgspec.structs.replace(backend, endpoints=endpoints)
        else:
            yield name, backend
