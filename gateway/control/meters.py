"""Meters: how they stand, and a cap raised or lowered where the control store declares it.

A meter is named by its bucket, `LEVEL:SUBJECT|QUANTITY|WINDOW|INSTANCE` (`policy.meters`); what stands behind the
subject may be left out as long as only one meter of it is meant. A cap that falls below what is used is taken: nothing
more is let in until the window ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from gateway.config.entries import Entry
from gateway.config.model_meters import Meters as MeterEntries
from gateway.config.snapshot_meters import Meter, meter
from gateway.config.units_money import QUANTITIES, cap_text, split_cap
from gateway.config.units_money import cap as cap_of
from gateway.control import documents, errors, names
from gateway.control.entries import KEYS, PROJECTS, TENANTS, Entries, Shelf, declared_in
from gateway.control.service import Answer, Asked, Body, Service, asking
from gateway.policy import authority, declared_meters, windows
from gateway.policy.authority import BucketState
from gateway.policy.meters import encoded
from gateway.policy.roles import Needs, Principal, may
from gateway.store.meters import MeterStoreDown

NANOS: Final = 10**9
_SHELVES: Final[Mapping[str, Shelf]] = {"tenant": TENANTS, "project": PROJECTS, "key": KEYS}


class Named(NamedTuple):
    """A bucket's name taken apart; parts that are left out are empty."""

    level: str
    per: str
    subject: str
    quantity: str
    window: str
    instance: str

    @property
    def tenant(self) -> str:
        """The tenant whose it is; empty for the gateway's and the models' meters."""
        return self.subject.partition("/")[0] if self.level in _SHELVES else ""


class Wanted(Struct, frozen=True):
    """Which buckets, in the order of their names."""

    after: str = ""
    limit: int = 100
    prefix: str = ""
    below_permille: int | None = None
    """Only those of which less than this share of the cap is left."""


class MeterUses:
    """The use cases."""

    def __init__(self, service: Service, entries: Entries) -> None:
        self._service = service
        self._entries = entries
        self._caps_known: tuple[object, dict[str, int]] = (None, {})
        """The caps found last, and of what: a long list is read page after page."""

    async def page(self, wanted: Wanted, principal: Principal) -> tuple[list[Body], str | None]:
        """A page of the buckets that the principal may see: those of the meters that are declared, and those that were
        used under others, with the caps they were last used under."""
        states = await self._states(wanted.prefix)
        caps = await self._caps(wanted.prefix)
        now_s = self._service.clock.wall_ns() // NANOS
        page: list[Body] = []
        for bucket in sorted(states.keys() | caps.keys()):
            if bucket <= wanted.after or not sees(principal, named(bucket)):
                continue
            state = states.get(bucket, _UNUSED)
            shown = _shown(bucket, state, caps.get(bucket, state.cap), now_s)
            if wanted.below_permille is None or shown["left"] * 1000 < wanted.below_permille * shown["cap"]:
                page.append(shown)
            if len(page) > wanted.limit:
                break
        more = len(page) > wanted.limit
        return page[: wanted.limit], page[wanted.limit - 1]["bucket"] if more else None

    async def get(self, bucket: str) -> Answer:
        """One meter as it stands, also one that was never used. Raises errors.NotFound or Ambiguous."""
        found = named(bucket)
        matching, version = await self._declared(found)
        if matching:
            return Answer(await self._standing(found, _only(matching, bucket)), version)
        state = (await self._states(bucket)).get(bucket)  # of a configuration that was
        if state is None:
            raise errors.NotFound(f"there is no meter {names.visible(bucket)}")
        return Answer(_shown(bucket, state, state.cap, self._service.clock.wall_ns() // NANOS))

    async def patch(self, bucket: str, cap: str, asked: Asked) -> Answer:
        """Gives a meter another cap of the same quantity. Raises errors.Invalid, NotFound, Ambiguous, Forbidden,
        DeclaredInFiles or Conflict."""
        found = named(bucket)
        may_change(asked.principal, found)
        shelf = _SHELVES.get(found.level)
        if shelf is None:
            what = "the gateway's meters are" if found.level == "gateway" else "a model's meters are"
            raise errors.DeclaredInFiles(f"{what} declared in the configuration's files: change them there")
        tenant, name = _identity(found)

        def raised(document: Body) -> Body:
            entries: Sequence[Body] = document.get("meters", ())
            compiled = documents.shaped(shelf, document, self._service.environ)
            at = _only([(at, each) for at, each in enumerate(compiled.meters) if _matches(found, each, shelf)], bucket)
            return document | {"meters": _with_cap(entries, at[0], cap, compiled.meters[at[0]].cap)}

        changed = await self._entries.patch(shelf, tenant, name, raised, asked)
        return Answer((await self.get(bucket)).body, changed.version)

    async def _declared(self, found: Named) -> tuple[list[tuple[str, Meter]], int | None]:
        """The meters that are meant, each with its cap as written, and the version of the entry they stand in."""
        declared = await self._service.declared()
        config, version = declared.config, None
        if found.level in _SHELVES:
            shelf = _SHELVES[found.level]
            tenant, name = _identity(found)
            section = declared_in(config, shelf, tenant).get(name)
            if section is None:
                try:
                    entry = await self._entries.stored(shelf, tenant, name)
                except errors.NotFound:
                    return [], None
                section = documents.shaped(shelf, documents.decoded(entry), self._service.environ)
                version = entry.version
            meters: MeterEntries = section.meters
        elif found.level == "model":
            model = next((each for alias, each in config.models.items() if encoded(alias) == found.subject), None)
            meters = () if model is None else model.meters
        else:
            meters = config.meters if found.level == "gateway" else ()
        compiled = [(entry.cap, meter(found.level, entry)) for entry in meters]
        return [each for each in compiled if _is_meant(found, each[1])], version

    async def _standing(self, found: Named, only: tuple[str, Meter]) -> Body:
        compiled = only[1]
        now_ns = self._service.clock.wall_ns()
        level = f"{compiled.level}.{compiled.per}" if compiled.per else compiled.level
        instance = found.instance or windows.instance(compiled.window, now_ns)
        bucket = f"{level}:{found.subject}|{QUANTITIES[compiled.quantity]}|{windows.name(compiled.window)}|{instance}"
        state = (await self._states(bucket)).get(bucket, BucketState())
        return _shown(bucket, state, compiled.cap, now_ns // NANOS)

    async def _caps(self, prefix: str) -> dict[str, int]:
        """The caps of the meters that are declared, by the bucket they count in now, as far as that is known."""
        declared = await self._service.declared()
        now_ns = self._service.clock.wall_ns()
        of = (prefix, await asking(self._service.store.revision()), declared, now_ns // _SAME_NS)
        if self._caps_known[0] == of:
            return self._caps_known[1]
        entries: list[Entry] = []
        for kind, tenant, begin in _within(prefix):
            entries += await asking(self._service.store.entries(kind, tenant, prefix=begin))

        def found() -> dict[str, int]:
            meters = declared_meters.of_files(declared.config, now_ns, prefix)
            meters |= declared_meters.of_entries(entries, now_ns, prefix)
            return {bucket: meter.cap for bucket, meter in meters.items()}

        self._caps_known = (of, await asyncio.to_thread(found))  # there may be a hundred thousand
        return self._caps_known[1]

    async def _states(self, prefix: str) -> dict[str, BucketState]:
        try:
            raw = await self._service.meters.scan(prefix)
        except MeterStoreDown as error:
            raise errors.Unavailable(f"the store of the meters: {error}") from error
        found = {}
        for bucket, state in raw.items():
            try:
                found[bucket] = authority.decode(state)
            except msgspec.DecodeError:
                continue  # `meters show` tells of it; nothing is granted of it
        return found


_UNUSED: Final = BucketState()
_SAME_NS: Final = 60 * NANOS
"""Windows begin and end at whole minutes."""


def _within(prefix: str) -> Iterator[tuple[Shelf, str | None, str]]:
    """(kind, tenant, begin of the name) of the entries whose buckets may begin with `prefix`."""
    level, colon, subject = prefix.partition(":")
    for word, shelf in _SHELVES.items():
        if word == level if colon else word.startswith(level):
            first, slash, rest = subject.partition("|")[0].partition("/")
            if shelf == TENANTS:
                yield shelf, None, first
            else:
                yield shelf, first if slash else None, rest


def named(bucket: str) -> Named:
    """A bucket's name taken apart; anything is taken, so that what does not exist is not found."""
    head, _, rest = bucket.partition("|")
    level, _, subject = head.partition(":")
    level, _, per = level.partition(".")
    quantity, window, instance = [*rest.split("|"), "", "", ""][:3]
    return Named(level, per, subject, quantity, window, instance)


def sees(principal: Principal, found: Named) -> bool:
    """Whether the principal may read of that bucket."""
    return principal.sees(found.tenant)


def may_change(principal: Principal, found: Named) -> None:
    """Raises errors.Forbidden: a tenant's own limits are given to it by an admin of all tenants."""
    within = found.level in ("project", "key")
    if not may(principal, Needs("admin", "tenant" if within else "gateway"), found.tenant):
        whose = found.tenant if within else "all tenants"
        raise errors.Forbidden(f"{principal.name} may not change this meter: it takes an admin of {whose}")


def _identity(found: Named) -> tuple[str, str]:
    """(tenant, name) of the entry that a bucket's subject begins with."""
    parts = found.subject.split("/")
    if found.level == "tenant":
        return "", parts[0]
    return parts[0], parts[1] if len(parts) > 1 else ""


def _is_meant(found: Named, compiled: Meter) -> bool:
    return (
        compiled.per == found.per
        and found.quantity in ("", QUANTITIES[compiled.quantity])
        and found.window in ("", windows.name(compiled.window))
    )


def _matches(found: Named, entry: Any, shelf: Shelf) -> bool:
    return _is_meant(found, meter(shelf, entry))


def _only(matching: Sequence[Any], bucket: str) -> Any:
    if len(matching) == 1:
        return matching[0]
    if not matching:
        raise errors.NotFound(f"there is no meter {names.visible(bucket)}")
    raise errors.Ambiguous(
        f"{names.visible(bucket)} has {len(matching)} meters: say which, as in {names.visible(bucket)}|usd|month@UTC",
        param="bucket",
    )


def _with_cap(entries: Sequence[Body], at: int, cap: str, before: str) -> list[Body]:
    """The meters with another cap for one. Raises errors.Invalid when it caps something else."""
    try:
        after = cap_of(cap)
    except ValueError as error:
        raise errors.Invalid(f"cap: {error}", param="cap") from error
    quantities = [QUANTITIES[split_cap(text)[0]] for text in (before, after)]
    if quantities[0] != quantities[1]:
        raise errors.Invalid(
            f"cap: this meter counts {quantities[0]} ({cap_text(before)}), not {quantities[1]}", param="cap"
        )
    return [{**entry, "cap": cap} if number == at else entry for number, entry in enumerate(entries)]


def _shown(bucket: str, state: BucketState, cap: int, now_s: int) -> Body:
    found = named(bucket)
    used, leased = state.used(now_s), state.leased()
    return {
        "bucket": bucket,
        "level": found.level,
        "tenant": found.tenant or None,
        "subject": found.subject,
        "quantity": found.quantity,
        "window": found.window or None,
        "instance": found.instance or None,
        "used": used,
        "leased": leased,
        "cap": cap,
        "cap_text": cap_text(f"{cap} {found.quantity}") if found.quantity in QUANTITIES else str(cap),
        "left": max(0, cap - used - leased),
    }
