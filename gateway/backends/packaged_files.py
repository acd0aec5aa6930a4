"""Files out of installed packages, which are located but never imported: their code is not ours to run.

Each file is checked against the digest it had when it was tried, so that a changed package is refused instead of
served.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ConfigError


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file inside an installed package, and its SHA-256."""

    package: str
    path: str
    sha256: str


def located(file: PackagedFile) -> Path | None:
    """Where the file is; None when it is not installed."""
    spec = importlib.util.find_spec(file.package)
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return next((path for folder in folders if (path := Path(folder, file.path)).is_file()), None)


def checked(file: PackagedFile) -> Path:
    """Where it is. Raises ConfigError when it is gone, or is not the file that was tried."""
    path = located(file)
    if path is None:
        raise ConfigError(f"{file.path} of the package {file.package} is gone")
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != file.sha256:
        raise ConfigError(f"{path} is not the file that was tried: its SHA-256 is {digest}, expected {file.sha256}")
    return path
