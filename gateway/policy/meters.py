"""Which buckets a request counts in: the meters of its gateway, tenant, project, key and model, each with a key that
names the meter's section, whom it counts for, what, and over which window.

    LEVEL[.PER]:SUBJECT|QUANTITY|WINDOW|INSTANCE      tenant.end_user:acme/u-7|usd|month@Europe/Berlin|2026-11

A key is computed from what a record holds, and from the time its request began, so whoever reads the record finds the
same one. Names in it are percent-encoded, and always stand with their tenant. What a caller can choose freely (end
users, conversations) may be long: of that its start is kept, and a digest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from msgspec import Struct

from gateway.config.snapshot import Snapshot
from gateway.config.snapshot_callers import Caller
from gateway.config.snapshot_meters import REQUESTS, Meter
from gateway.config.units_money import QUANTITIES
from gateway.policy import windows

FOREVER_NS: Final = 2**62 - 1
"""Later than any window that ends (the year 2116), and the largest number that is quick."""
MOST_NAME_CHARS: Final = 96
"""An encoded name longer than this is kept as its start and a digest of it."""
MOST_NAME_BYTES: Final = 256
"""So much of a name counts: as much as a record surely keeps of it."""

DOWNGRADED: Final = "downgraded:"
FELL_BACK: Final = "fallback:"
BEYOND: Final = "beyond"
"""Words of a record's `action`."""

_UNSAFE: Final = re.compile(rb"[^A-Za-z0-9._@:+-]")
_OF_TENANTS: Final = frozenset(("end_user", "conversation", "key", "project", "tenant"))


class Asker(Struct, frozen=True, gc=False):
    """Everyone a request may be counted for; "" for what it has not. `model` is the alias whose price counts."""

    tenant: str
    key: str
    project: str
    model: str
    end_user: str
    conversation: str


class Spent(Protocol):
    """What is read of a closed `Record` to know what was settled."""

    @property
    def usage_from(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def input_tokens(self) -> int | None: ...
    @property
    def cached_input_tokens(self) -> int | None: ...
    @property
    def output_tokens(self) -> int | None: ...
    @property
    def reasoning_tokens(self) -> int | None: ...
    @property
    def waste_tokens(self) -> int: ...
    @property
    def held_input(self) -> int: ...
    @property
    def held_output(self) -> int: ...
    @property
    def charge_nanos(self) -> int | None: ...


class Row(Protocol):
    """What is read of a `Record` or an `Opened` to know whose it is."""

    @property
    def started_ns(self) -> int: ...
    @property
    def tenant(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def alias(self) -> str: ...
    @property
    def project(self) -> str: ...
    @property
    def end_user(self) -> str: ...
    @property
    def conversation(self) -> str: ...
    @property
    def action(self) -> str: ...


def meters_of(snapshot: Snapshot, caller: Caller, project: str, model: str) -> tuple[Meter, ...]:
    """Every meter a request counts in, the widest first."""
    tenant = caller.tenant
    route = snapshot.models.get(model) or snapshot.classic.get(model)
    return (
        *snapshot.meters,
        *tenant.meters,
        *(tenant.projects.get(project, ()) if project else ()),
        *caller.meters,
        *(() if route is None else route.meters),
    )


def key_of(meter: Meter, asker: Asker, wall_ns: int) -> str:
    """The key of the bucket; `wall_ns` is when the request began."""
    level = meter.level if not meter.per else f"{meter.level}.{meter.per}"
    window = meter.window
    parts = (QUANTITIES[meter.quantity], windows.name(window), windows.instance(window, wall_ns))
    return f"{level}:{_subject(meter, asker)}|{'|'.join(parts)}"


def until_ns(meters: Iterable[Meter], wall_ns: int) -> int:
    """When the first of their windows ends, from when on a key is another; `FOREVER_NS` when none does."""
    ends = (windows.ends_ns(meter.window, wall_ns) for meter in meters)
    return min((end for end in ends if end is not None), default=FOREVER_NS)


def needs_name(meters: Iterable[Meter], name: str) -> bool:
    """Whether any of them has a bucket for each `name` (end_user, conversation)."""
    return any(meter.per == name for meter in meters)


class Directory:
    """Finds the buckets of records that were made under one snapshot."""

    __slots__ = ("_callers", "_snapshot")

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._callers = {(caller.tenant.name, caller.key): caller for caller in snapshot.keys.values()}

    def keys_of(self, row: Row) -> list[tuple[str, Meter]]:
        """The buckets a request was counted in; none for a key that the snapshot does not have. Of models whose
        fallback answered, those that count requests.
        """
        caller = self._callers.get((row.tenant, row.key))
        if caller is None:
            return []
        *before, model = models_of(row)
        found = dict(self._keys(row, caller, model))
        for each in before:
            for key, meter in self._keys(row, caller, each):
                if meter.quantity == REQUESTS:
                    found.setdefault(key, meter)
        return list(found.items())

    def _keys(self, row: Row, caller: Caller, model: str) -> list[tuple[str, Meter]]:
        asker = Asker(row.tenant, row.key, row.project, model, row.end_user, row.conversation)
        meters = meters_of(self._snapshot, caller, row.project, model)
        return [(key_of(meter, asker, row.started_ns), meter) for meter in meters]


def models_of(row: Row) -> list[str]:
    """The aliases that a request was counted for: that asked for, or the one it was downgraded to, and behind it each
    fallback it came to. Price and meters are those of the last, and of all of them it is a request.
    """
    models = [row.alias]
    for word in row.action.split(" "):
        if word.startswith(DOWNGRADED):
            models = [word[len(DOWNGRADED) :]]
        elif word.startswith(FELL_BACK):
            models.append(word[len(FELL_BACK) :])
    return models


def led_to(action: str) -> str:
    """The words of an action that say for which models a request was counted."""
    words = [word for word in action.split(" ") if word.startswith((DOWNGRADED, FELL_BACK))]
    return " ".join(words) if words else ""


def spent_of(row: Spent) -> tuple[int, int, int, int, int]:
    """By quantity, what a closed record was settled with; zeros for a request that was never let in."""
    if not row.usage_from:
        return (0, 0, 0, 0, 0)
    if row.outcome == "crashed":
        return (1, row.held_input, row.held_output, 0, row.charge_nanos or 0)
    given = (row.input_tokens or 0) + (row.cached_input_tokens or 0)
    made = (row.output_tokens or 0) + (row.reasoning_tokens or 0)
    if row.outcome == "cancelled":
        made += row.waste_tokens
    return (1, min(given, row.held_input), min(made, row.held_output), 0, row.charge_nanos or 0)


def _subject(meter: Meter, asker: Asker) -> str:
    names: Sequence[str]
    match meter.level:
        case "tenant":
            names = (asker.tenant,)
        case "project":
            names = (asker.tenant, asker.project)
        case "key":
            names = (asker.tenant, asker.key)
        case "model":
            names = (asker.model,)
        case _:
            names = ()
    if meter.per:
        own: str = getattr(asker, meter.per)
        if meter.per in _OF_TENANTS and meter.per != "tenant" and meter.level in ("gateway", "model"):
            names = (*names, asker.tenant, own)
        else:
            names = (*names, own)
    return "/".join(map(encoded, names))


def encoded(name: str) -> str:
    """A name as it stands in a key."""
    kept = name.encode("utf-8", "replace")[:MOST_NAME_BYTES].decode("utf-8", "ignore").encode()
    text = _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], kept).decode("ascii")
    if len(text) <= MOST_NAME_CHARS:
        return text
    return f"{text[:64]}~{hashlib.blake2b(kept, digest_size=12).hexdigest()}"
