"""Snapshots at rest: the configuration as one canonical blob, named by its digest, so that a record can always be
explained. (I/O)

`STATE/snapshots/<digest>.msgpack` (folder 0700, files 0600). Blobs are never removed here: records refer to them for
as long as records are kept. `${NAME}` references are archived as written; what they stand for never is.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from gateway.config import units
from gateway.config.model import Column, Config, Endpoint, Onnx, Servers, Version
from gateway.errors import ConfigError

S = TypeVar("S", bound=msgspec.Struct)

FORMAT = 2


class _Blob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    config: Config
    columns: tuple[tuple[str, ...], ...] = ()
    """The columns of each of `_schemas`: maps are sorted here, and columns of a matrix have an order."""


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(_Blob)


def encode(config: Config) -> bytes:
    """The canonical blob: equal configurations give equal bytes, however their files were split and ordered."""
    return _encoder.encode(_Blob(FORMAT, config, tuple(tuple(schema) for schema in _schemas(config))))


def decode(blob: bytes) -> Config:
    """What `encode` was given; ConfigError for anything else."""
    try:
        found = _decoder.decode(blob)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:  # the latter from keys that are not text
        raise ConfigError(f"not a snapshot that this version can read: {error}") from error
    if found.format != FORMAT:
        raise ConfigError(f"a snapshot of format {found.format}; this version reads format {FORMAT}")
    try:
        for schema, order in zip(_schemas(found.config), found.columns, strict=True):
            columns = {name: schema.pop(name) for name in order}
            schema.update(columns)
    except (KeyError, ValueError) as error:
        raise ConfigError("not a snapshot that this version can read: its columns are not those it names") from error
    return found.config


def _schemas(config: Config) -> Iterator[dict[str, Column]]:
    """All schemas of classic models, in an order that does not depend on how the configuration was written."""
    for _, model in sorted(config.models.items()):
        if isinstance(model, Onnx):
            yield model.schema
            for _, version in sorted(model.versions.items()):
                if isinstance(version, Version):
                    yield version.schema


def digest(blob: bytes) -> str:
    """The blob's SHA-256 in hexadecimal: the snapshot's name in records."""
    return hashlib.sha256(blob).hexdigest()


def write(state_dir: Path, blob: bytes) -> str:
    """Archives a blob (atomically, durably; nothing to do when it is there whole) and returns its digest. OSError if
    that fails."""
    name = digest(blob)
    folder = state_dir / "snapshots"
    state_dir.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{name}.msgpack"
    if path.exists() and path.stat().st_size == len(blob):
        return name
    partial = folder / f".{name}.{secrets.token_hex(4)}"
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return name


def read(state_dir: Path, digest_hex: str) -> Config:
    """The configuration archived under a digest; ConfigError when it is not there or is not what its name says."""
    if not re.fullmatch(r"[0-9a-f]{64}", digest_hex):
        raise ConfigError("a snapshot's digest is 64 hexadecimal digits")
    path = state_dir / "snapshots" / f"{digest_hex}.msgpack"
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read this snapshot: {error.strerror}") from error
    if digest(blob) != digest_hex:
        raise ConfigError(f"{path}: this file was changed: its digest is not its name")
    return decode(blob)


def resolve_secrets(config: Config, environ: Mapping[str, str]) -> Config:
    """The configuration with every `${NAME}` replaced, for the process that talks to backends: keep it in memory only.

    ConfigError names the entry and the variable that is missing.
    """
    backends = dict(config.backends)
    for name, backend in config.backends.items():
        if isinstance(backend, Servers):
            try:
                endpoints = tuple(
                    Endpoint(url=units.resolve_env(end.url, environ), drained=end.drained) for end in backend.endpoints
                )
                api_key = None if backend.api_key is None else units.resolve_env(backend.api_key, environ)
            except ValueError as error:
                raise ConfigError(f"backends.{name}: {error}") from error
            backends[name] = msgspec.structs.replace(backend, endpoints=endpoints, api_key=api_key)
    return msgspec.structs.replace(
        config,
        backends=backends,
        stores=_resolved(config.stores, "stores", "meters", environ),
        telemetry=_resolved(config.telemetry, "telemetry", "webhook", environ),
    )


def _resolved(section: S, path: str, name: str, environ: Mapping[str, str]) -> S:
    """The section with the references in one of its texts replaced."""
    written = getattr(section, name)
    if written is None:
        return section
    try:
        return msgspec.structs.replace(section, **{name: units.resolve_env(written, environ)})
    except ValueError as error:
        raise ConfigError(f"{path}.{name}: {error}") from error
