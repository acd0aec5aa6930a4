"""Loads classic models to see whether they load: `python -m gateway.runtime.model_trial`, a JSON list of
`ClassicVersion` on stdin; a line of JSON for each on stdout, what is wrong or null."""

from __future__ import annotations

import json
import sys

import msgspec

from gateway.config.snapshot import ClassicVersion
from gateway.errors import ConfigError


def main() -> None:
    """The process. Each line is written before the next model is looked at, which may end it."""
    from gateway.backends import classic

    for version in msgspec.json.decode(sys.stdin.buffer.read(), type=list[ClassicVersion]):
        problem = None
        try:
            classic.load(version)
        except ConfigError as error:
            problem = str(error)
        sys.stdout.write(json.dumps(problem) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
