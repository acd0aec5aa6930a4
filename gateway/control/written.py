"""Sections of the configuration as they are written: what stands in files, shown the way the API's own entries are.
Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from gateway.config.model import Key, Tenant
from gateway.config.model_meters import Downgrade, MeterEntry, Meters, Project
from gateway.config.units_money import cap_text, window_text

Section = Tenant | Project | Key


def section(found: Section) -> dict[str, Any]:
    """What answers show of a tenant, a project or a key."""
    match found:
        case Tenant():
            return {"models": list(found.models), "meters": meters(found.meters)} | _chain(found) | _content(found)
        case Project():
            return {"meters": meters(found.meters)}
        case Key():
            shown: dict[str, Any] = {"models": list(found.models), "projects": list(found.projects)}
            if found.expires_s is not None:
                shown["expires"] = instant(found.expires_s)
            if found.previous is not None:
                shown["previous_expires"] = instant(found.previous.expires_s)
            return shown | {"meters": meters(found.meters)} | _chain(found)


def _chain(found: Tenant | Key) -> dict[str, Any]:
    return {} if found.chain is None else {"chain": found.chain}


def _content(found: Tenant) -> dict[str, Any]:
    return {} if found.content is None else {"content": msgspec.to_builtins(found.content)}


def meters(found: Meters) -> list[dict[str, Any]]:
    """Meters as one writes them: `{"cap": "$500", "window": "month"}`."""
    return [_meter(entry) for entry in found]


def instant(seconds: int) -> str:
    """A moment, `2027-06-30T00:00:00Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _meter(entry: MeterEntry) -> dict[str, Any]:
    shown: dict[str, Any] = {"cap": cap_text(entry.cap)}
    if entry.window is not None:
        shown["window"] = window_text(entry.window)
    if entry.zone is not None:
        shown["zone"] = entry.zone
    if entry.per is not None:
        shown["per"] = entry.per
    if entry.at:
        shown["at"] = {
            f"{int(share) / 10:g}%": {"downgrade": action.downgrade} if isinstance(action, Downgrade) else action
            for share, action in sorted(entry.at.items(), key=lambda each: int(each[0]))
        }
    return shown
