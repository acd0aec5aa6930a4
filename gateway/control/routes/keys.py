"""Keys: what callers come with. A secret is in the answer that made it and nowhere else."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Response
from pydantic import Field

from gateway.control.documents import merged
from gateway.control.entries import KEYS, Entries
from gateway.control.gates import needs
from gateway.control.keys import MOST_OVERLAP_S, Keys
from gateway.control.routes.bodies import named, patch_of
from gateway.control.routes.paging import ListingEver, answered, page
from gateway.control.routes.shapes import Expires, MeterBody, Meters, Models, Name, Page, Sourced, Taken
from gateway.control.service import Asked

_Reading: TypeAlias = Annotated[Asked, needs("viewer", "tenant")]
_Changing: TypeAlias = Annotated[Asked, needs("admin", "tenant")]


class NewKey(Taken):
    """A key to be made; its secret is in the answer, this once."""

    name: Name
    expires: Expires | None = None
    models: Models = Field(default=[], description="Those of the tenant's models that it may use; all when empty.")
    projects: list[Name] = Field(default=[])
    meters: Meters = Field(default=[])


class KeyChange(Taken):
    """What of a key is to be changed; null takes it away."""

    expires: Expires | None = None
    models: Models | None = None
    projects: list[Name] | None = None
    meters: Meters | None = None


class Rotation(Taken):
    """How a secret is replaced."""

    overlap_s: int = Field(
        default=3600, ge=0, le=MOST_OVERLAP_S, description="So long the old one goes on; 0: no more."
    )


class KeyAnswer(Sourced):
    tenant: str
    name: str
    expires: str | None = None
    models: list[str] = Field(default=[])
    projects: list[str] = Field(default=[])
    meters: list[MeterBody] = Field(default=[])
    chain: str | None = Field(default=None, description="A key of the files may have another than its tenant.")
    previous_expires: str | None = Field(default=None, description="Until when the secret before this one is valid.")


class IssuedKey(KeyAnswer):
    secret: str | None = Field(description="Shown this once; null where the request is repeated: rotate for another.")


class KeyRoutes:
    """What is asked of a tenant's keys."""

    def __init__(self, entries: Entries, keys: Keys) -> None:
        self._entries = entries
        self._keys = keys

    async def list_keys(self, asked: _Reading, tenant: str, listing: ListingEver) -> Response:
        """The tenant's keys, by name; revoked ones with `gone=true`."""
        return page(*await self._entries.page(KEYS, tenant, listing, asked.principal.sees))

    async def create_key(self, asked: _Changing, tenant: str, body: NewKey) -> Response:
        """Make a key. Its secret is in the answer and nowhere else: a repeated request is answered without it."""
        return answered(await self._keys.create(tenant, *named(body), asked), 201)

    async def get_key(self, _: _Reading, tenant: str, key: str) -> Response:
        """A key, without its secret, which nobody has."""
        return answered(await self._entries.get(KEYS, tenant, key))

    async def change_key(self, asked: _Changing, tenant: str, key: str, body: KeyChange) -> Response:
        """Change what is named of a key of the store: its end, models, projects, meters."""
        patch = patch_of(body)
        return answered(await self._entries.patch(KEYS, tenant, key, lambda old: merged(old, patch), asked))

    async def revoke_key(self, asked: _Changing, tenant: str, key: str) -> Response:
        """Revoke a key of the store, for good: its name is not given again."""
        return answered(await self._entries.remove(KEYS, tenant, key, asked))

    async def rotate_key(self, asked: _Changing, tenant: str, key: str, body: Rotation) -> Response:
        """Give a key another secret; the old one goes on for `overlap_s` seconds."""
        return answered(await self._keys.rotate(tenant, key, body.overlap_s, asked))


def router(entries: Entries, keys: Keys) -> APIRouter:
    """The paths."""
    at, do = APIRouter(prefix="/admin/tenants/{tenant}/keys", tags=["keys"]), KeyRoutes(entries, keys)
    at.get("", response_model=Page[KeyAnswer])(do.list_keys)
    at.post("", response_model=IssuedKey, status_code=201)(do.create_key)
    at.get("/{key}", response_model=KeyAnswer)(do.get_key)
    at.patch("/{key}", response_model=KeyAnswer)(do.change_key)
    at.delete("/{key}", response_model=KeyAnswer)(do.revoke_key)
    at.post("/{key}/rotate", response_model=IssuedKey)(do.rotate_key)
    return at
