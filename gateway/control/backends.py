"""Models and backends as they are declared and as they stand, and the drain of an endpoint."""

from __future__ import annotations

import asyncio
import re
import urllib.error
import urllib.request
from typing import Final

from gateway.config.entries import EntryId
from gateway.config.model import Backend, Model, Onnx, Provider, Servers, kind_of
from gateway.config.snapshot import version_order
from gateway.control import documents, errors, names, written
from gateway.control.entries import Listed, Query
from gateway.control.service import Answer, Asked, Body, Declared, Service, asking, refusal
from gateway.store.control import base
from gateway.store.control.base import Put, Remove, Step

OPS_PATIENCE_S: Final = 2.0
MOST_OPS_BYTES: Final = 16_000_000
_GAUGE: Final = re.compile(
    r'^lockgate_endpoint_(outstanding|breaker_open)\{backend="([^"]*)",endpoint="([^"]*)"\} (\S+)$', re.MULTILINE
)

Standing = dict[tuple[str, str], dict[str, float]]
"""By backend and endpoint: what the gateway says of it now."""


class Backends:
    """The use cases."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def models(self, query: Query) -> Listed:
        """A page of the aliases, in their order."""
        declared = await self._service.declared()
        found = sorted(
            alias for alias in declared.config.models if alias > query.after and alias.startswith(query.prefix)
        )
        page = found[: query.limit]
        return Listed([_model(declared, alias) for alias in page], page[-1] if len(found) > query.limit else None)

    async def model(self, alias: str) -> Answer:
        """One alias. Raises errors.NotFound."""
        declared = await self._service.declared()
        if alias not in declared.config.models:
            raise errors.NotFound(f"there is no model {names.visible(alias)}")
        return Answer(_model(declared, alias))

    async def backends(self, query: Query) -> Listed:
        """A page of the backends, each endpoint with what the gateway says of it, where one runs."""
        declared = await self._service.declared()
        found = sorted(
            name for name in declared.config.backends if name > query.after and name.startswith(query.prefix)
        )
        drained = {entry.name for entry in await asking(self._service.store.entries("endpoint"))}
        standing = await self._standing()
        page = found[: query.limit]
        items = [_backend(declared, name, drained, standing) for name in page]
        return Listed(items, page[-1] if len(found) > query.limit else None)

    async def drain(self, backend: str, endpoint: str, asked: Asked) -> Answer:
        """No new call goes to the endpoint from now on; done again, nothing changes. Raises errors.NotFound."""
        if (known := await self._service.replay(asked)) is not None:
            return known
        of = await self._endpoint(backend, endpoint)
        document = documents.encoded({"drained": True})
        there = await asking(self._service.store.entry(of))
        if there is not None:
            return Answer(_drain(backend, endpoint, drained=True))
        try:
            return await self._changed(Put(of, document, base.NEW), asked, _drain(backend, endpoint, drained=True))
        except base.Exists:  # by somebody else, just now
            return Answer(_drain(backend, endpoint, drained=True))
        except base.Refused as error:
            raise refusal(error, documents.shown) from error

    async def resume(self, backend: str, endpoint: str, asked: Asked) -> Answer:
        """The end of a drain; done again, nothing changes. Raises errors.NotFound, or DeclaredInFiles for an endpoint
        that the files drain."""
        if (known := await self._service.replay(asked)) is not None:
            return known
        of = await self._endpoint(backend, endpoint)
        answer = _drain(backend, endpoint, drained=False)
        if await asking(self._service.store.entry(of)) is None:
            return Answer(answer)
        try:
            return await self._changed(Remove(of), asked, answer)
        except base.NotThere:
            return Answer(answer)

    async def _changed(self, step: Step, asked: Asked, body: Body) -> Answer:
        done = await self._service.change([step], asked, lambda _: body)
        return Answer(done.body, replayed=done.replayed)  # a drain has no version that anyone names

    async def _endpoint(self, name: str, url: str) -> EntryId:
        declared = await self._service.declared()
        backend = declared.config.backends.get(name)
        if backend is None:
            raise errors.NotFound(f"there is no backend {names.visible(name)}")
        if not isinstance(backend, Servers):
            raise errors.Invalid(f"{name} is of kind {kind_of(backend)}: it has no endpoints to drain", param="backend")
        for index, endpoint in enumerate(backend.endpoints):
            if endpoint.url.rstrip("/") == url.rstrip("/"):
                if endpoint.drained:
                    place = declared.places.find(("backends", name, "endpoints", index))
                    raise errors.DeclaredInFiles(f"{url} is drained in {place}: change it there")
                return EntryId("endpoint", "", f"{name} {endpoint.url}")
        known = ", ".join(endpoint.url for endpoint in backend.endpoints[:10])
        raise errors.NotFound(f"{name} has no endpoint {names.visible(url)}; it has {known}", param="endpoint")

    async def _standing(self) -> Standing:
        """Empty where no gateway answers."""
        text = await asking_ops(self._service.ops_url, "/metrics")
        found: Standing = {}
        for quantity, backend, endpoint, value in _GAUGE.findall(text or ""):
            found.setdefault((backend, endpoint), {})[quantity] = float(value)
        return found


async def asking_ops(url: str | None, path: str) -> str | None:
    """What the ops listener says at a path; None where it does not answer."""

    def ask() -> str | None:
        try:
            with urllib.request.urlopen(f"{url}{path}", timeout=OPS_PATIENCE_S) as answer:
                return str(answer.read(MOST_OPS_BYTES).decode())
        except urllib.error.HTTPError as error:  # not ready is an answer too
            return str(error.read(MOST_OPS_BYTES).decode())
        except (OSError, ValueError):
            return None

    return None if url is None else await asyncio.to_thread(ask)


def _model(declared: Declared, alias: str) -> Body:
    model = declared.config.models[alias]
    body: Body = {"alias": alias, "kind": "backend", "backend": None, "served_model": None, "fallback": []}
    match model:
        case Model():
            body |= {
                "backend": model.backend,
                "served_model": model.served_model or alias,
                "fallback": list(model.fallback),
            }
        case Onnx():
            body |= {"kind": "onnx"}
    versions = sorted(model.versions, key=version_order) if isinstance(model, Onnx) else []
    return body | {
        "versions": versions,
        "priced": model.price is not None,
        "meters": written.meters(model.meters),
        "source": "files",
        "place": declared.places.find(("models", alias)),
    }


def _backend(declared: Declared, name: str, drained: set[str], standing: Standing) -> Body:
    backend: Backend = declared.config.backends[name]
    endpoints = []
    for endpoint in backend.endpoints if isinstance(backend, Servers) else ():
        here = standing.get((name, endpoint.url), {})
        endpoints.append(
            {
                "url": endpoint.url,
                "drained": endpoint.drained or f"{name} {endpoint.url}" in drained,
                "outstanding": here.get("outstanding"),
                "breaker_open": here.get("breaker_open"),
            }
        )
    return {
        "name": name,
        "kind": kind_of(backend),
        "provider": backend.provider if isinstance(backend, Provider) else None,
        "endpoints": endpoints,
        "source": "files",
        "place": declared.places.find(("backends", name)),
    }


def _drain(backend: str, endpoint: str, *, drained: bool) -> Body:
    return {"backend": backend, "endpoint": endpoint, "drained": drained}
