"""What commands share that read the tables of a state directory: times that are asked for, and what can be wrong."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click

from gateway.cli import usage_times


def moment(_context: click.Context, _option: click.Parameter, given: str | None) -> int | None:
    """The value of an option that is a time: nanoseconds since the epoch."""
    if given is None:
        return None
    try:
        return usage_times.moment_ns(given, ZoneInfo("UTC"), time.time_ns())
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def written(moment_ns: int | None) -> str | None:
    """A time as the API takes it."""
    return None if moment_ns is None else datetime.fromtimestamp(moment_ns // 10**9, UTC).isoformat()


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """Turns what can be wrong with tables into messages."""
    from gateway.store.manifest import LedgerUnreadable
    from gateway.store.record_rows import SchemaTooNew

    try:
        yield
    except ImportError as error:
        raise click.ClickException(f"{what} cannot be read here: {error}") from error
    except (LedgerUnreadable, SchemaTooNew, OSError) as error:
        raise click.ClickException(str(error)) from error
