"""The configuration in force: loaded, checked, archived; and what a reload cannot change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.config import archive, load
from gateway.config.model import Config, Overrides, Server


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration and the digest of its blob."""

    config: Config
    blob: bytes
    digest: str


def read(folder: Path, overrides: Overrides) -> Loaded:
    """Loads and checks the folder. Raises ConfigError."""
    config = load.load(folder, overrides=overrides)
    blob = archive.encode(config)
    return Loaded(config, blob, archive.digest(blob))


def fixed_at_start(old: Server, new: Server) -> list[str]:
    """The settings that differ and take a restart: sockets, processes and the state directory are made once."""
    return [
        name for name in ("bind", "ops", "grpc", "workers", "state_dir") if getattr(old, name) != getattr(new, name)
    ]
