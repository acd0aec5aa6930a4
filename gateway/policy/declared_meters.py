"""The meters that are declared, as the buckets they count in now: a budget can be looked at before it is first used.

Of a meter with a bucket for each of something (`per`) it is not known before which there will be. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from gateway.config import overlay
from gateway.config.entries import Entry, Kind
from gateway.config.model import Config
from gateway.config.model_meters import Meters as MeterEntries
from gateway.config.model_meters import Project
from gateway.config.snapshot_meters import Meter, Meters, sections
from gateway.errors import ConfigError
from gateway.policy.meters import Asker, key_of

KINDS: Final[tuple[Kind, ...]] = ("tenant", "project", "key")
"""Of entries that may have meters."""

Subject = tuple[str, str, str]
"""A level, the tenant, and the name within that tenant; of a model its alias as the name."""


class _Metered(msgspec.Struct):
    meters: msgspec.Raw = msgspec.Raw()


def of_files(config: Config, wall_ns: int, prefix: str = "") -> dict[str, Meter]:
    """Those of the configuration's files whose bucket begins with `prefix`, by bucket; `wall_ns`: now."""
    compiled = Meters()
    found = (
        (_subject(level, path), compiled.of(level, entries)) for path, level, entries in sections(config) if entries
    )
    return dict(_buckets(found, wall_ns, prefix))


def of_entries(entries: Iterable[Entry], wall_ns: int, prefix: str = "") -> dict[str, Meter]:
    """The same of entries of the control store, of `KINDS`. What the overlay would refuse is passed over."""
    return dict(_buckets(_metered(entries), wall_ns, prefix))


def _metered(entries: Iterable[Entry]) -> Iterator[tuple[Subject, tuple[Meter, ...]]]:
    compiled = Meters()
    known: dict[bytes, MeterEntries] = {}  # thousands of keys have equal ones
    decode = msgspec.json.Decoder(_Metered).decode
    for entry in entries:
        if b'"meters"' not in entry.document:
            continue
        try:
            written = bytes(decode(entry.document).meters)
            meters = known.get(written)
            if meters is None:
                section = overlay.section_of("project", b'{"meters":%s}' % (written or b"[]"), {})
                assert isinstance(section, Project)
                meters = known[written] = section.meters
        except (msgspec.MsgspecError, ConfigError):
            continue
        yield (entry.kind, entry.tenant, entry.name), compiled.of(entry.kind, meters)


def _subject(level: str, path: tuple[str | int, ...]) -> Subject:
    match path:
        case ("tenants", tenant, _, name, _):
            return level, str(tenant), str(name)
        case (_, name, _):
            return level, "", str(name)
        case _:
            return level, "", ""


def _buckets(
    found: Iterable[tuple[Subject, tuple[Meter, ...]]], wall_ns: int, prefix: str
) -> Iterator[tuple[str, Meter]]:
    for (level, tenant, name), meters in found:
        asker = Asker(
            tenant=name if level == "tenant" else tenant,
            key=name if level == "key" else "",
            project=name if level == "project" else "",
            model=name if level == "model" else "",
            end_user="",
            conversation="",
        )
        for meter in meters:
            if not meter.per:
                bucket = key_of(meter, asker, wall_ns)
                if bucket.startswith(prefix):
                    yield bucket, meter
