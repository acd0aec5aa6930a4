"""Which version of Lockgate this is."""

from __future__ import annotations

from functools import cache


@cache
def version() -> str:
    """As installed; "source" for a tree that is not."""
    from importlib.metadata import PackageNotFoundError, version  # slow to import, and wanted once

    try:
        return version("lockgate")
    except PackageNotFoundError:
        return "source"
