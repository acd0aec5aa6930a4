"""Tenants, projects and keys: those of the files and those of the control store as one list, and changes of the latter.

What stands in the files is shown and never changed here. A tenant of the files may have projects and keys of the store.
"""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from msgspec import Struct

from gateway.config.entries import Entry, EntryId
from gateway.config.model import Config, Key
from gateway.config.shape import Path
from gateway.control import documents, errors, names, written
from gateway.control.service import MOST_TRIES, Answer, Asked, Body, Declared, Service, asking, refusal
from gateway.store.control import base
from gateway.store.control.base import Keep, Put, Remove, Step


class Listed(NamedTuple):
    """A page, and the name behind which the next one begins; None when this was the last."""

    items: list[Body]
    next: str | None


class Query(Struct, frozen=True):
    """Which entries are wanted."""

    after: str = ""
    limit: int = 100
    prefix: str = ""
    gone: bool = False
    """Removed ones as well."""


Shelf: TypeAlias = Literal["tenant", "project", "key"]
"""One kind of entries."""
_NEAREST_OF: Final = 1_000
TENANTS: Final = "tenant"
PROJECTS: Final = "project"
KEYS: Final = "key"


def declared_in(config: Config, shelf: Shelf, tenant: str) -> Mapping[str, Any]:
    """The files' own of that kind, by name."""
    if shelf == "tenant":
        return config.tenants
    found = config.tenants.get(tenant)
    if found is None:
        return {}
    return found.projects if shelf == "project" else found.keys


class Entries:
    """The use cases."""

    def __init__(self, service: Service) -> None:
        self._service = service

    # -- read ----------------------------------------------------------------------------------------------------------

    async def page(self, shelf: Shelf, tenant: str, query: Query, sees: Callable[[str], bool]) -> Listed:
        """A page in the order of the names. `sees` says which tenants may be seen, when tenants are listed. Raises
        errors.NotFound when there is no such tenant."""
        declared = await self._service.declared()
        if tenant:
            await self._demand(declared, tenant)
        of_files = declared_in(declared.config, shelf, tenant)
        most = query.limit + 1
        wanted = (
            name
            for name in of_files
            if name > query.after and name.startswith(query.prefix) and (bool(tenant) or sees(name))
        )
        found: dict[str, Body] = {
            name: _declared(declared, shelf, tenant, name) for name in heapq.nsmallest(most, wanted)
        }
        for entry in await self._stored(shelf, tenant, query, sees):
            found.setdefault(entry.name, documents.shown(entry))
        page = [found[name] for name in sorted(found)[:most]]
        more = len(page) > query.limit
        return Listed(page[: query.limit], page[query.limit - 1]["name"] if more else None)

    async def _stored(self, shelf: Shelf, tenant: str, query: Query, sees: Callable[[str], bool]) -> Sequence[Entry]:
        """As many of the store as a page could need."""
        kept: list[Entry] = []
        after = EntryId(shelf, tenant, query.after) if query.after else None
        while len(kept) <= query.limit:
            found = await asking(
                self._service.store.entries(
                    shelf, tenant or None, after=after, limit=query.limit + 1, prefix=query.prefix, gone=query.gone
                )
            )
            kept += [entry for entry in found if tenant or sees(entry.name)]
            if len(found) <= query.limit:
                break
            after = found[-1].id
        return kept

    async def get(self, shelf: Shelf, tenant: str, name: str) -> Answer:
        """One of them. Raises errors.NotFound."""
        entry = await self._entry(shelf, tenant, name)
        if entry is not None:
            return Answer(documents.shown(entry), entry.version)
        declared = await self._service.declared()
        if name in declared_in(declared.config, shelf, tenant):
            return Answer(_declared(declared, shelf, tenant, name))
        if tenant:
            await self._demand(declared, tenant)
        raise errors.NotFound(f"there is no {base.told(EntryId(shelf, tenant, names.visible(name)))}")

    # -- change --------------------------------------------------------------------------------------------------------

    async def create(self, shelf: Shelf, tenant: str, name: str, document: Body, asked: Asked) -> Answer:
        """Makes an entry. Raises errors.Invalid, Exists, NameUsed, NotFound (of the tenant)."""
        if (known := await self._service.replay(asked)) is not None:
            return known
        if (wrong := names.problem(name)) is not None:
            raise errors.Invalid(f"name: {wrong}", param="name")
        declared = await self._service.declared()
        if name in declared_in(declared.config, shelf, tenant):
            place = _place(declared, shelf, tenant, name)
            told = base.told(EntryId(shelf, tenant, name))
            raise errors.Exists(f"{told} is there already: it is declared in {place}", param="name")
        steps = self._needs(shelf, tenant, name, document, declared)
        put = Put(EntryId(shelf, tenant, name), documents.encoded(document), base.NEW)
        try:
            return await self._service.change([*steps, put], asked, _last)
        except base.Refused as error:
            await self._no_such_project(error, document, name, declared)
            raise refusal(error, documents.shown) from error

    async def patch(self, shelf: Shelf, tenant: str, name: str, change: Callable[[Body], Body], asked: Asked) -> Answer:
        """Gives an entry another document, made of the present one. Without a version named it is made again of what
        somebody else has just written. Raises errors.Invalid, NotFound, DeclaredInFiles, Conflict."""
        if (known := await self._service.replay(asked)) is not None:
            return known

        async def once() -> Answer:
            entry = await self.stored(shelf, tenant, name)
            declared = await self._service.declared()
            document = change(documents.decoded(entry))
            steps = self._needs(shelf, tenant, name, document, declared)
            expect = entry.version if asked.expect is None else asked.expect
            put = Put(entry.id, documents.encoded(document), expect)
            try:
                return await self._service.change([*steps, put], asked, _last)
            except base.NotThere as error:
                await self._no_such_project(error, document, name, declared)
                raise

        return await self._again(once, asked)

    async def remove(self, shelf: Shelf, tenant: str, name: str, asked: Asked, *, all_below: bool = False) -> Answer:
        """Takes an entry away. Raises errors.NotFound, DeclaredInFiles, Conflict, and InUse where others need it:
        keys a project; a tenant's projects and keys go with it when `all_below` says so."""

        async def once() -> Answer:
            entry = await self.stored(shelf, tenant, name)
            below: list[Entry] = []
            if shelf == "tenant":
                below = await self._below(name)
                if below and not all_below:
                    raise errors.InUse(
                        f"{base.told(entry.id)} still has {_counted(below)}: remove them first, or all with it "
                        "(all_below=true; --all-below)",
                        details=_counts(below),
                    )
            steps: list[Step] = [Remove(each.id) for each in below]
            try:
                return await self._service.change([*steps, Remove(entry.id, asked.expect)], asked, _last)
            except base.NotEmpty:
                if shelf == "project":
                    await self._not_booked_to(tenant, name)
                raise

        return await self._again(once, asked)

    async def stored(self, shelf: Shelf, tenant: str, name: str) -> Entry:
        """An entry that can be changed here. Raises errors.NotFound or DeclaredInFiles."""
        entry = await self._entry(shelf, tenant, name)
        if entry is not None:
            return entry
        declared = await self._service.declared()
        told = base.told(EntryId(shelf, tenant, names.visible(name)))
        if name in declared_in(declared.config, shelf, tenant):
            place = _place(declared, shelf, tenant, name)
            raise errors.DeclaredInFiles(f"{told} is declared in {place}: change it there", details={"place": place})
        raise errors.NotFound(f"there is no {told}")

    async def _again(self, once: Callable[[], Awaitable[Answer]], asked: Asked) -> Answer:
        tries = 0
        while True:
            try:
                return await once()
            except base.Refused as error:
                tries += 1
                moved = isinstance(error, base.NotEmpty) or (isinstance(error, base.Conflict) and asked.expect is None)
                if not moved or tries >= MOST_TRIES:
                    raise refusal(error, documents.shown) from error

    # -- what stands around an entry -----------------------------------------------------------------------------------

    async def _entry(self, shelf: Shelf, tenant: str, name: str) -> Entry | None:
        if names.problem(name) is not None:
            return None
        return await asking(self._service.store.entry(EntryId(shelf, tenant, name)))

    async def _demand(self, declared: Declared, tenant: str) -> None:
        """Raises errors.NotFound when there is no such tenant."""
        if tenant not in declared.config.tenants and await self._entry(TENANTS, "", tenant) is None:
            raise _no_tenant(tenant)

    def _needs(self, shelf: Shelf, tenant: str, name: str, document: Body, declared: Declared) -> list[Step]:
        """Checks the document, and says what must be in the store when it is written; the store is not asked before.
        Raises errors.Invalid or NotFound."""
        steps: list[Step] = []
        if shelf != "tenant" and tenant not in declared.config.tenants:
            if names.problem(tenant) is not None:
                raise _no_tenant(tenant)
            steps.append(Keep(EntryId("tenant", "", tenant)))
        section = documents.shaped(shelf, document, self._service.environ)
        if not isinstance(section, Key):
            documents.review(declared.config, tenant, name, section)
            return steps
        declared_too = declared_in(declared.config, PROJECTS, tenant)
        documents.review(declared.config, tenant, name, section, [*declared_too, *section.projects])
        elsewhere = [project for project in section.projects if project not in declared_too]
        return [*steps, *(Keep(EntryId("project", tenant, project)) for project in elsewhere)]

    async def _no_such_project(self, error: base.Refused, document: Body, key: str, declared: Declared) -> None:
        """Where a key was refused for a project that is not there: raises errors.Invalid with the nearest there is."""
        if not isinstance(error, base.NotThere) or error.id.kind != "project":
            return
        tenant = error.id.tenant
        there = await asking(self._service.store.entries(PROJECTS, tenant, limit=_NEAREST_OF))
        known = [*declared_in(declared.config, PROJECTS, tenant), *(entry.name for entry in there)]
        section = documents.shaped(KEYS, document, self._service.environ)
        documents.review(declared.config, tenant, key, section, known)

    async def _below(self, tenant: str) -> list[Entry]:
        found: list[Entry] = []
        found += await asking(self._service.store.entries(KEYS, tenant))  # first: they name projects
        found += await asking(self._service.store.entries(PROJECTS, tenant))
        return found

    async def _not_booked_to(self, tenant: str, project: str) -> None:
        """Raises errors.InUse when keys may work for the project."""
        booked: list[str] = [
            entry.name
            for entry in await asking(self._service.store.entries("key", tenant))
            if project in documents.decoded(entry).get("projects", ())
        ]
        if booked:
            told = ", ".join(booked[:5]) + (f" and {len(booked) - 5} more" if len(booked) > 5 else "")
            raise errors.InUse(
                f"keys of {tenant} may work for the project {project}: {told}. Take it from their projects first",
                details={"keys": booked[:100]},
            )


def _no_tenant(tenant: str) -> errors.NotFound:
    return errors.NotFound(f"there is no tenant {names.visible(tenant)}")


def _last(entries: Sequence[Entry]) -> Body:
    return documents.shown(entries[-1])


def _place(declared: Declared, shelf: Shelf, tenant: str, name: str) -> str:
    path: Path = ("tenants", name)
    if tenant:
        path = ("tenants", tenant, "projects" if shelf == "project" else "keys", name)
    return declared.places.find(path) or "the files"


def _declared(declared: Declared, shelf: Shelf, tenant: str, name: str) -> Body:
    """One of the files' own as answers have it."""
    body: Body = {"tenant": tenant} if tenant else {}
    body |= {"name": name, **written.section(declared_in(declared.config, shelf, tenant)[name])}
    none = dict.fromkeys(("version", "created_at", "created_by", "changed_at", "gone_at"))
    return body | {"source": "files", "place": _place(declared, shelf, tenant, name), **none}


def _counts(below: Sequence[Entry]) -> dict[str, int]:
    return {f"{kind}s": sum(entry.kind == kind for entry in below) for kind in ("project", "key")}


def _counted(below: Sequence[Entry]) -> str:
    """`2 projects and 1 key`."""
    counts = [(count, noun.removesuffix("s")) for noun, count in _counts(below).items() if count]
    return " and ".join(f"{count:,} {noun}{'' if count == 1 else 's'}" for count, noun in counts)
