"""`lockgate journal`: what a state directory's journals hold, and whether they are complete. Works beside a running
gateway, and changes nothing."""

from __future__ import annotations

import heapq
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from gateway.store.journal_read import Tail, directories, writer_lives
from gateway.store.records import Attempt, Record

_SILENT_AT_0 = ("status", "held_", "waste_", "judge_", "asked_output", "answers", "draw", "endpoints_left")

STATE_DIR = click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("state"),
    show_default=True,
    help="The gateway's state directory; the demo's is state/demo.",
)


@click.group()
def journal() -> None:
    """Show or verify the records of served requests."""


@journal.command(short_help="Print records as JSON lines, the newest last.")
@STATE_DIR
@click.option("--tenant", help="Only this tenant's.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The newest so many.")
def show(state_dir: Path, tenant: str | None, limit: int) -> None:
    """Print records as JSON lines, the newest last; what is not known of a request is left out."""
    chosen = (record for record in _records(state_dir) if tenant is None or record.tenant == tenant)
    newest = heapq.nlargest(limit, chosen, key=lambda record: (record.started_ns, record.id))
    for record in reversed(newest):
        click.echo(json.dumps(msgspec.to_builtins(_named(record))))


@journal.command(short_help="Count opened and closed requests; exit with 1 on a gap or damage.")
@STATE_DIR
def verify(state_dir: Path) -> None:
    """Count what was opened, closed and recovered; exit with 1 on a gap or on damage.

    A gap is a request that was opened, has no record, and whose worker is dead. `lockgate serve` closes these when it
    starts and whenever a worker dies.
    """
    opened = closed = recovered = running = gap = damaged = unreadable = unopened = torn = 0
    paths = _journals(state_dir)
    for directory in paths:
        # Asked first: what a worker that then was dead had written is all there is.
        alive = writer_lives(directory)
        tail = Tail(directory)
        tail.writer_gone = not alive
        for _ in tail.drain():
            pass
        tail.close()
        opened += tail.opened
        closed += tail.closed - tail.recovered
        recovered += tail.recovered
        running += len(tail.open) if alive else 0
        gap += 0 if alive else len(tail.open)
        damaged += tail.damaged
        unreadable += tail.unreadable
        unopened += tail.unopened if tail.first_sequence == 1 else 0
        torn += tail.torn
    for name, count in (
        ("journals", len(paths)),
        ("opened", opened),
        ("closed", closed),
        ("recovered", recovered),
        ("running", running),
        ("gap", gap),
        ("damaged", damaged),
        ("unreadable", unreadable),
        ("unopened", unopened),
        ("torn", torn),
    ):
        click.echo(f"{name:10} {count}")
    if gap or damaged or unreadable or unopened:
        click.echo("not complete: see above", err=True)
        sys.exit(1)


def _journals(state_dir: Path) -> list[Path]:
    """The workers' directories; a message and exit code 1 when there are none."""
    paths = directories(state_dir)
    if not paths:
        raise click.ClickException(
            f"no journals in {state_dir}: name the state directory of the gateway with --state-dir "
            "(that of the demo is state/demo)"
        )
    return paths


def _records(state_dir: Path) -> Iterator[Record]:
    for directory in _journals(state_dir):
        tail = Tail(directory)
        yield from tail.drain()
        tail.close()


def _named(record: Record) -> dict[str, object]:
    """A record with its columns' names, attempts too: stored, they are arrays."""
    return _known(record) | {"attempts": [_known(attempt) for attempt in record.attempts]}


def _known(row: Record | Attempt) -> dict[str, object]:
    """The columns that say something: empty texts, None, no status and times of 0.0 mean that it is not known; that
    nothing was held or wasted goes without saying."""
    columns = ((name, getattr(row, name)) for name in row.__struct_fields__)
    return {
        name: value
        for name, value in columns
        if not (value in (None, "", []) or (value == 0 and (isinstance(value, float) or name.startswith(_SILENT_AT_0))))
    }
