"""The optional package behind `kind: provider`: whether it is here, and what the process that uses it is given.

Nothing here imports litellm: that takes seconds and hundreds of megabytes, and is done in one child process only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import metadata

INSTALL = "pip install 'lockgate[providers]'"
NEVER = ("1.107.0",)
"""Releases that were compromised: their code is not run, not even imported."""

VARIABLE = "LOCKGATE_PROVIDER"
"""The child's environment variable that holds its backend's configuration as JSON: a key written into the
configuration would be seen by everyone in its arguments."""

_ENDINGS = ("_API_BASE", "_BASE_URL", "_API_URL", "_API_KEY", "_ENDPOINT", "_ENDPOINT_URL")


def missing() -> str | None:
    """What keeps a provider from being asked here, with the command that mends it; None when nothing does."""
    try:
        version = metadata.version("litellm")
    except metadata.PackageNotFoundError:
        return f"outside providers need litellm, not installed here. Install with: {INSTALL}"
    if version in NEVER:
        return f"litellm {version} was a compromised release and is never run. Install another with: {INSTALL}"
    return None


def arguments(socket: str) -> list[str]:
    """What to run with this interpreter to ask a provider through `socket` (a path); it ends when the calling process
    does. The backend's configuration goes into the environment, under `VARIABLE`.
    """
    return ["-m", "gateway.backends.provider", "--socket", socket, "--parent", str(os.getpid())]


def unwanted(environ: Mapping[str, str]) -> list[str]:
    """The variables litellm must not see: keys, addresses and switches that the configuration does not name, so that
    prompts go where `lockgate check` says and with the key it says. Credentials of clouds (`AWS_…`, `GOOGLE_…`) stay.
    """
    return [name for name in environ if name.upper().endswith(_ENDINGS) or name.upper().startswith("LITELLM_")]
