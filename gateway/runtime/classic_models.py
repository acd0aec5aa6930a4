"""The classic models of a configuration: pinned to what their files hold, tried before they are put in force, and kept
loaded in each worker.

The supervisor pins and tries, so that a model that does not load is an error of the configuration, at the start and on
reload; workers load exactly what was pinned. A trial is a process of its own: the supervisor stays small, and a file
that makes ONNX Runtime crash ends nothing else.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from gateway.backends import model_files
from gateway.config import review_classic, snapshot
from gateway.config.model import AnyModel, Config, Onnx, Version
from gateway.config.places import Finding, Places
from gateway.config.shape import Path
from gateway.config.snapshot import ClassicModel, ClassicVersion
from gateway.errors import ConfigError
from gateway.runtime.processes import describe_end
from gateway.telemetry.logs import Log

if TYPE_CHECKING:  # imports numpy and ONNX Runtime
    from gateway.backends.onnx import Session

TRIAL = (sys.executable, "-m", "gateway.runtime.model_trial")
TRIAL_PATIENCE_S = 120.0
"""How long a trial of new models may take in all."""


def pin(config: Config, places: Places) -> Config:
    """The configuration with the digest and the schema of every version, as its files are now.

    Raises ConfigError with all problems found, each with its place.
    """
    if not any(isinstance(model, Onnx) for model in config.models.values()):
        return config
    problems: list[str] = []
    models: dict[str, AnyModel] = {}
    for alias, model in config.models.items():
        path: Path = ("models", alias)
        if not isinstance(model, Onnx):
            models[alias] = model
            continue
        versions: dict[str, str | Version] = {}
        for name, written in model.versions.items():
            version = written if isinstance(written, Version) else Version(path=written)
            try:
                versions[name] = _pinned(version, model)
            except ConfigError as error:
                here = (*path, "versions", name)
                problems.append(places.line(places.find(here), here, str(error)))
        models[alias] = pinned = msgspec.structs.replace(model, versions=versions)
        problems += [places.show(finding) for finding in review_classic.problems(path, pinned)]
    if problems:
        raise ConfigError("\n".join(problems))
    return msgspec.structs.replace(config, models=models)


def _pinned(version: Version, model: Onnx) -> Version:
    lacking = model_files.missing(version.path)
    if lacking is not None:
        raise ConfigError(lacking)
    found = model_files.open_model(version.path)
    model_files.expect(found, version.digest or "")
    packaged = {} if found.manifest is None else found.manifest.schema
    return Version(path=version.path, digest=found.digest, schema=version.schema or model.schema or packaged)


def unchecked(config: Config) -> Iterator[Finding]:
    """Models with a chain of checks that finds no text in them, for `lockgate check`."""
    for alias, model in config.models.items():
        if isinstance(model, Onnx) and model.chain is not None:
            paths = [each.path if isinstance(each, Version) else each for each in model.versions.values()]
            if not any(model_files.open_model(path).head.texts for path in paths):
                yield Finding(("models", alias, "chain"), "this model takes and gives numbers: no check reads them")


def try_new(config: Config, places: Places, before: Config | None) -> None:
    """Loads every pinned version that was not in force `before`, in a process that ends with it.

    Raises ConfigError with all problems found, each with its place.
    """
    known = [] if before is None else versions_of(snapshot.classic_of(before))
    new = [
        version
        for version in versions_of(snapshot.classic_of(config))
        if not any(_same_session(version, other) for other in known)
    ]
    if not new:
        return
    lines: list[str] = []
    for version, problem in zip(new, trial(new), strict=True):
        if problem is not None:
            here = ("models", version.alias, "versions", version.version)
            lines.append(places.line(places.find(here), here, problem))
    if lines:
        raise ConfigError("\n".join(lines))


def trial(versions: list[ClassicVersion], command: Sequence[str] = TRIAL) -> list[str | None]:
    """What is wrong with each, None for nothing; found out by `command`, which may end in any way."""
    try:
        ended = subprocess.run(
            command, input=msgspec.json.encode(versions), capture_output=True, timeout=TRIAL_PATIENCE_S, check=False
        )
        output, end = ended.stdout, f"loading it ended with {describe_end(ended.returncode)}"
    except subprocess.TimeoutExpired as late:
        output, end = late.stdout or b"", f"loading it takes more than {TRIAL_PATIENCE_S:.0f} s"
    told: list[str | None] = [json.loads(line) for line in output.splitlines() if line.startswith((b'"', b"null"))]
    if len(told) < len(versions):  # it ended while it loaded the next one; those behind it were not tried
        told += [end] + [None] * (len(versions) - len(told) - 1)
    return told


class Sessions:
    """A worker's loaded models: an unchanged version keeps its session over a reload. One that is no longer wanted ends
    with the last request that uses it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._loaded: list[tuple[ClassicVersion, Session]] = []

    def load(self, classic: Mapping[str, ClassicModel]) -> dict[str, dict[str, Session]]:
        """The session of every version, by alias and version: for a reload, in a thread. Raises ConfigError for one
        that does not load, and leaves what was loaded before as it is."""
        loaded = [(version, self._session(version)) for version in versions_of(classic)]
        return self._keep(loaded)

    def load_what_can_be(self, classic: Mapping[str, ClassicModel]) -> dict[str, dict[str, Session]]:
        """The same for a worker that starts: a version that does not load is told in the log and left out, since the
        worker serves other models too."""
        loaded = []
        for version in versions_of(classic):
            try:
                loaded.append((version, self._session(version)))
            except ConfigError as error:
                self._log.error("model_not_loaded", model=version.alias, version=version.version, reason=str(error))
        return self._keep(loaded)

    def _keep(self, loaded: list[tuple[ClassicVersion, Session]]) -> dict[str, dict[str, Session]]:
        self._loaded = loaded
        by_alias: dict[str, dict[str, Session]] = {}
        for version, session in loaded:
            by_alias.setdefault(version.alias, {})[version.version] = session
        return by_alias

    def _session(self, version: ClassicVersion) -> Session:
        for other, session in self._loaded:
            if _same_session(version, other):
                return session
        from gateway.backends import classic

        began_s = time.monotonic()
        session = classic.load(version)
        self._log.info(
            "model_loaded",
            model=version.alias,
            version=version.version,
            digest=version.digest,
            load_ms=round((time.monotonic() - began_s) * 1000, 1),
        )
        return session


def versions_of(classic: Mapping[str, ClassicModel]) -> list[ClassicVersion]:
    """All versions of all models."""
    return [version for model in classic.values() for version in model.versions.values()]


def _same_session(one: ClassicVersion, other: ClassicVersion) -> bool:
    """Whether one session does for both: they differ in nothing but where the same bytes lie. The order of columns is
    one of the things: it is that of a matrix."""
    return one == msgspec.structs.replace(other, path=one.path) and list(one.columns) == list(other.columns)
