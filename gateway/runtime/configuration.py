"""The configuration that the files say: loaded and checked; and what a reload cannot change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.config import load
from gateway.config.model import Config, Overrides
from gateway.config.places import Places
from gateway.runtime import classic_models


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration, its classic models pinned, and what knows the places of its entries."""

    config: Config
    places: Places


def read(folder: Path, overrides: Overrides | None = None, before: Loaded | None = None) -> Loaded:
    """Loads and checks the folder; classic models that are not in force `before` are tried too, which takes as long as
    loading them. Raises ConfigError."""
    known = None if before is None else before.places.keys
    found, places = load.load_with_places(folder, overrides=overrides, known=known)
    config = classic_models.pin(found, places)
    classic_models.try_new(config, places, None if before is None else before.config)
    return Loaded(config, places)


def fixed_at_start(old: Config, new: Config) -> list[str]:
    """The settings that differ and take a restart: sockets, processes, the state directory and the stores are made
    once."""
    fixed = [
        name
        for name in ("bind", "ops", "grpc", "control", "workers", "state_dir")
        if getattr(old.server, name) != getattr(new.server, name)
    ]
    return fixed + [
        f"stores.{name}"
        for name in old.stores.__struct_fields__
        if getattr(old.stores, name) != getattr(new.stores, name)
    ]
