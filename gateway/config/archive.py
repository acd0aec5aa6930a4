"""Snapshots at rest: the configuration as one canonical blob, named by its digest, so that a record can always be
explained. (I/O)

`STATE/snapshots/<digest>.msgpack` (folder 0700, files 0600). Blobs are never removed here: records refer to them for
as long as records are kept. `${NAME}` references are archived as written; what they stand for never is.

A blob is a whole configuration, or a patch: what changed since another snapshot, its base. A patch is an array where
the other is a map; its digest depends on its base's, so it too names one configuration.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from gateway.config import patches, units
from gateway.config.model import Column, Config, Endpoint, Onnx, Servers, Version
from gateway.config.model_chains import WebhookTarget
from gateway.config.model_telemetry import Telemetry
from gateway.config.patches import Changes
from gateway.errors import ConfigError

S = TypeVar("S", bound=msgspec.Struct)
B = TypeVar("B", "_Blob", "Patch")

FORMAT = 2
PATCH_FORMAT = 1
LONGEST_CHAIN = 1_000
"""More patches than are ever made one upon another (`runtime.in_force`)."""

_ARRAYS = (*range(0x90, 0xA0), 0xDC, 0xDD)
"""The first byte of a patch."""


class _Blob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    config: Config
    columns: tuple[tuple[str, ...], ...] = ()
    """The columns of each of `_schemas`: maps are sorted here, and columns of a matrix have an order."""


class Patch(msgspec.Struct, frozen=True, array_like=True):
    """A snapshot as what changed since its base."""

    base: str
    """The digest of the snapshot that `changes` are made to."""
    changes: Changes
    also: str = ""
    """The digest of another snapshot that they may be made to with the same result: the one that was in force."""
    format: int = PATCH_FORMAT


class Archived(msgspec.Struct, frozen=True):
    """One snapshot of the archive."""

    digest: str
    at_ns: int
    """When it was written, in wall time."""
    base: str | None
    """None where it is whole."""
    bytes: int


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(_Blob)
_patch_decoder = msgspec.msgpack.Decoder(Patch)


def encode(config: Config) -> bytes:
    """The canonical blob: equal configurations give equal bytes, however their files were split and ordered."""
    return _encoder.encode(_Blob(FORMAT, config, tuple(tuple(schema) for schema in _schemas(config))))


def encode_patch(patch: Patch) -> bytes:
    """The canonical blob of a patch."""
    return _encoder.encode(patch)


def decode(blob: bytes) -> Config:
    """What `encode` was given; ConfigError for anything else."""
    found = _decoded(_decoder, blob, FORMAT)
    try:
        for schema, order in zip(_schemas(found.config), found.columns, strict=True):
            columns = {name: schema.pop(name) for name in order}
            schema.update(columns)
    except (KeyError, ValueError) as error:
        raise ConfigError("not a snapshot that this version can read: its columns are not those it names") from error
    return found.config


def _decoded(decoder: msgspec.msgpack.Decoder[B], blob: bytes, known: int) -> B:
    try:
        found = decoder.decode(blob)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:  # the latter from keys that are not text
        raise ConfigError(f"not a snapshot that this version can read: {error}") from error
    if found.format != known:
        raise ConfigError(f"a snapshot of format {found.format}; this version reads format {known}")
    return found


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
    """The configuration archived under a digest, made from its base where it is a patch; ConfigError when something of
    it is not there or is not what its name says."""
    waiting: list[Changes] = []
    while isinstance(found := read_one(state_dir, digest_hex), Patch):
        waiting.append(found.changes)
        digest_hex = found.base
        if len(waiting) > LONGEST_CHAIN:
            raise ConfigError(f"the snapshot is more than {LONGEST_CHAIN} patches away from a whole one")
    for changes in reversed(waiting):
        try:
            found = patches.changed(found, changes)
        except KeyError as error:
            raise ConfigError(f"a snapshot's patch does not fit its base: there is no {error}") from error
    return found


def read_one(state_dir: Path, digest_hex: str) -> Config | Patch:
    """What is archived under a digest itself; ConfigError as from `read`."""
    blob = _blob(state_dir, digest_hex)
    return _decoded(_patch_decoder, blob, PATCH_FORMAT) if blob[:1] and blob[0] in _ARRAYS else decode(blob)


def history(state_dir: Path) -> Iterator[Archived]:
    """Every snapshot of the archive, the newest first; ConfigError for one that cannot be read."""
    found = []
    for path in (state_dir / "snapshots").glob("*.msgpack"):
        with contextlib.suppress(FileNotFoundError):
            found.append((path.stat(), path.stem))
    for status, name in sorted(found, key=lambda each: (-each[0].st_mtime_ns, each[1])):
        yield Archived(name, status.st_mtime_ns, _base(state_dir, name), status.st_size)


def _base(state_dir: Path, digest_hex: str) -> str | None:
    """The base of a patch, of which the first bytes are enough."""
    try:
        with (state_dir / "snapshots" / f"{digest_hex}.msgpack").open("rb") as file:
            start = file.read(80)
    except OSError as error:
        raise ConfigError(f"cannot read the snapshot {digest_hex}: {error.strerror}") from error
    # An array, a text of 64 bytes (0xd9 0x40), and the text.
    return start[3:67].decode("ascii", "replace") if start[:1] and start[0] in _ARRAYS else None


def _blob(state_dir: Path, digest_hex: str) -> bytes:
    if not re.fullmatch(r"[0-9a-f]{64}", digest_hex):
        raise ConfigError("a snapshot's digest is 64 hexadecimal digits")
    path = state_dir / "snapshots" / f"{digest_hex}.msgpack"
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read this snapshot: {error.strerror}") from error
    if digest(blob) != digest_hex:
        raise ConfigError(f"{path}: this file was changed: its digest is not its name")
    return blob


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
    webhooks = {name: _webhook(name, written, environ) for name, written in config.webhooks.items()}
    return msgspec.structs.replace(
        config,
        backends=backends,
        webhooks=webhooks,
        stores=_resolved(config.stores, "stores", "meters", environ),
        telemetry=_telemetry(config.telemetry, environ),
    )


def _telemetry(written: Telemetry, environ: Mapping[str, str]) -> Telemetry:
    telemetry = _resolved(written, "telemetry", "webhook", environ)
    if written.otlp is None:
        return telemetry
    path = "telemetry.otlp"
    otlp = _resolved(written.otlp, path, "endpoint", environ)
    try:
        headers = {name: units.resolve_env(value, environ) for name, value in otlp.headers.items()}
    except ValueError as error:
        raise ConfigError(f"{path}.headers: {error}") from error
    return msgspec.structs.replace(telemetry, otlp=msgspec.structs.replace(otlp, headers=headers))


def _webhook(name: str, written: WebhookTarget, environ: Mapping[str, str]) -> WebhookTarget:
    path = f"webhooks.{name}"
    return _resolved(_resolved(written, path, "url", environ), path, "secret", environ)


def _resolved(section: S, path: str, name: str, environ: Mapping[str, str]) -> S:
    """The section with the references in one of its texts replaced."""
    written = getattr(section, name)
    if written is None:
        return section
    try:
        return msgspec.structs.replace(section, **{name: units.resolve_env(written, environ)})
    except ValueError as error:
        raise ConfigError(f"{path}.{name}: {error}") from error
