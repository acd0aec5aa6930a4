"""What all use cases of the administration share: who asks, what stands around, and how a change is made. No HTTP.

A change is checked against the files, goes to the store as one transaction, and is logged. What the store refuses
becomes an `AdminError` that says whose move it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from gateway.clock import Clock
from gateway.config.entries import Entry
from gateway.config.model import Config
from gateway.config.places import Places
from gateway.control import errors
from gateway.policy.roles import Principal
from gateway.store.control import base
from gateway.store.control.base import ControlStore, Once, Step, Who
from gateway.store.meters import MeterStore
from gateway.telemetry.logs import Log, Timestamps

MOST_TRIES = 8
"""How often a change that names no version is made again on what somebody else has just changed."""

Body = dict[str, Any]

T = TypeVar("T")


class Declared(Struct, frozen=True, eq=False):
    """What the configuration's files say now, and where."""

    config: Config
    places: Places


class Retried(Struct, frozen=True):
    """An idempotency key (its SHA-256), and the SHA-256 of the request that came with it."""

    key: str
    request: str


class Asked(Struct, frozen=True):
    """Who asks for a change, and how."""

    principal: Principal
    who: Who
    reason: str = ""
    expect: int | None = None
    """The version that the entry must have; None: whichever it has."""
    retried: Retried | None = None


class Answer(Struct, frozen=True):
    """What becomes of a request. `version` is that of the entry it is about."""

    body: Body
    version: int | None = None
    replayed: bool = False


@dataclass(frozen=True)
class Service:
    """What the use cases work with. `declared` reads the files (errors.Unavailable when they cannot be read);
    `ops_url` is None where no gateway runs."""

    store: ControlStore
    declared: Callable[[], Awaitable[Declared]]
    meters: MeterStore
    state_dir: Path
    ops_url: str | None
    environ: Mapping[str, str]
    clock: Clock
    log: Log

    async def replay(self, asked: Asked) -> Answer | None:
        """What was answered to this very request before, if it bears an idempotency key that was used."""
        if asked.retried is None:
            return None
        found = await asking(self.store.recall(asked.who.principal, asked.retried.key, self.clock.wall_ns()))
        return None if found is None else _replayed(found, asked.retried)

    async def change(self, steps: Sequence[Step], asked: Asked, body: Callable[[Sequence[Entry]], Body]) -> Answer:
        """Does the steps, all or none; `body` makes the answer of the entries as they became. Raises AdminError; what
        the store refuses for what stands there comes as `base.Refused`, see `refusal`."""
        once = None
        if asked.retried is not None:
            once = Once(
                asked.who.principal,
                asked.retried.key,
                asked.retried.request,
                lambda entries: msgspec.json.encode(body(entries)),
            )
        try:
            found = await asking(self.store.apply(steps, asked.who, asked.reason, self.clock.wall_ns(), once=once))
        except base.Repeated as error:
            assert asked.retried is not None
            return _replayed(error.remembered, asked.retried)
        for step, entry in zip(steps, found, strict=True):
            if not isinstance(step, base.Keep):
                self._tell(step, entry, asked)
        return Answer(body(found), found[-1].version)

    def _tell(self, step: Step, entry: Entry, asked: Asked) -> None:
        self.log.info(
            "entry_removed" if isinstance(step, base.Remove) else "entry_put",
            kind=entry.kind,
            tenant=entry.tenant or None,
            name=entry.name,
            version=entry.version,
            principal=asked.who.principal,
            via=asked.who.via,
            request=asked.who.request_id,
            reason=asked.reason or None,
        )


async def asking(answer: Awaitable[T]) -> T:
    """What the store answers; its failure as an error that callers see."""
    try:
        return await answer
    except base.ControlStoreDown as error:
        raise errors.Unavailable(f"the control store: {error}") from error


def refusal(error: base.Refused, view: Callable[[Entry], Body]) -> errors.AdminError:
    """What the store refused, for the caller; `view` shows the entry that stood in the way."""
    match error:
        case base.Conflict(current=current, expected=expected):
            return errors.Conflict(
                f"{base.told(current.id)} was changed meanwhile: it is at version {current.version}, you named "
                f"{expected}. Look at it again and decide",
                details={"yours": expected, "current": current.version, "entry": view(current)},
            )
        case base.Exists(current=current):
            return errors.Exists(f"{base.told(current.id)} is there already", param="name")
        case base.Gone(last=last):
            return errors.NameUsed(
                f"{base.told(last.id)} was there and was removed; records and changes name it, so take another name",
                param="name",
            )
        case base.NotEmpty():
            return errors.InUse(str(error))
        case _:
            return errors.NotFound(f"there is no {base.told(error.id)}")


def _replayed(found: base.Remembered, retried: Retried) -> Answer:
    if found.request != retried.request:
        raise errors.KeyReused(
            "this idempotency key came with another request within the last day: take a new one for each request",
            param="idempotency-key",
        )
    body: Body = msgspec.json.decode(found.answer)
    version = body.get("version")
    return Answer(body, version if isinstance(version, int) else None, replayed=True)


_TIMES = Timestamps()


def time_text(wall_ns: int | None) -> str | None:
    """`2026-01-31T23:59:59.123Z`; None for none."""
    return None if wall_ns is None else _TIMES.format(wall_ns)
