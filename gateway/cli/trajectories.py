"""`lockgate trajectories`: an agent's steps, from the records of its calls and what was kept of them. Reads a state
directory of this machine, whether a gateway runs or not."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from gateway.cli import admin_options, places, record_filters, stored, trajectories_table

if TYPE_CHECKING:
    from gateway.store.records import Record
    from gateway.store.trajectories import Trajectory

_F = TypeVar("_F", bound=Callable[..., Any])
_TOGETHER: Final = 200
"""Calls whose words are in memory at once, or those of one conversation."""
_TRACE_DIGITS: Final = 32
_LIKE: Final = {"min_cost": None, "min_ms": None}
"""What chooses single calls is not asked for: a trajectory has all of its own."""


def _chosen(command: _F) -> _F:
    """Adds what trajectories are chosen by."""
    moment = stored.moment
    for option in reversed(
        (
            click.option(
                "--since", metavar="TIME", callback=moment, default="1d", show_default=True, help="Calls from then on."
            ),
            click.option("--until", metavar="TIME", callback=moment, help="Before then."),
            click.option("--tenant", metavar="NAME", help="Only this tenant's; the same for those below."),
            click.option("--key", metavar="NAME"),
            click.option("--project", metavar="NAME"),
            click.option("--end-user", metavar="ID"),
        )
    ):
        command = option(command)
    return places.options(command)


@click.group(cls=admin_options.Group, short_help="List, show or export the steps of agents.")
def trajectories() -> None:
    """List, show or export the steps of agents: calls of models that belong to one conversation (or, where nothing else
    tells, to one trace), the tools they asked for and what came of them. What was said is there only where a tenant's
    policy keeps it, and on the gateway's machine: there is no --url; `lockgate traces --url` tells of times and cost.
    """


@trajectories.command(name="list", short_help="List trajectories, the newest first.")
@_chosen
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", default=20, show_default=True, help="At most so many."
)
@admin_options.output
def list_(limit: int, form: str, state_dir: Path | None, config: Path | None, **filters: Any) -> None:
    """Lists trajectories, those that were heard of last first."""
    where = places.state_dir_of(state_dir, config)
    with stored.reading("trajectories"):
        found = _newest(where, filters, limit)
    if form == "json":
        from gateway.store.trajectories import exported

        for each in found:
            click.echo(json.dumps({name: value for name, value in exported(each).items() if name != "messages"}))
        return
    for line in trajectories_table.listed(found):
        click.echo(line)
    click.echo(f"{len(found):,} {'trajectory' if len(found) == 1 else 'trajectories'} in {where}")


@trajectories.command(short_help="Show the steps of one.")
@click.argument("trajectory_id", metavar="ID")
@click.option("--tenant", metavar="NAME", help="ID is what a caller of this tenant names the conversation.")
@admin_options.output
@places.options
def show(trajectory_id: str, tenant: str | None, form: str, state_dir: Path | None, config: Path | None) -> None:
    """Shows one step by step: what was asked, which tools the model asked for and what came of them, how long each
    took, what checks found, and what it cost. ID is that of a list or a trace; with --tenant, that of
    `x-lockgate-conversation-id` or of `conversation` in the body.
    """
    where = places.state_dir_of(state_dir, config)
    name, number = (trajectory_id, "") if tenant is not None else trajectory_id.partition(":")[::2]
    with stored.reading("trajectories"):
        found = _of(where, name) if tenant is None else _own(where, tenant, name)
    at = int(number or 1) - 1 if (number or "1").isdecimal() else -1
    if not 0 <= at < len(found):
        raise click.ClickException(f"there is no trajectory {trajectory_id} in {where}: `lockgate trajectories list`")
    if form == "json":
        from gateway.store.trajectories import exported

        click.echo(json.dumps(exported(found[at])))
        return
    for line in trajectories_table.whole(found[at]):
        click.echo(line)
    more = f"; {len(found)} open alike: {found[1].id} …" if len(found) > 1 and not number else ""
    click.echo(f"\nfrom {where}{more}")


@trajectories.command(short_help="Write trajectories as messages with tool calls, for other programs.")
@_chosen
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write there.")
def export(output: Path | None, state_dir: Path | None, config: Path | None, **filters: Any) -> None:
    """Writes a JSON object a line for each trajectory, by their beginnings: its steps, and where it was kept all that
    was said in it, as `messages` and `tools` of OpenAI's chat format.
    """
    from gateway.store.trajectories import exported

    where = places.state_dir_of(state_dir, config)
    count = 0
    with stored.reading("trajectories"), ExitStack() as closing:
        file = sys.stdout if output is None else closing.enter_context(output.open("w", encoding="utf-8"))
        for each in _all(where, filters):
            file.write(json.dumps(exported(each)) + "\n")
            count += 1
    click.echo(f"{count:,} {'trajectory' if count == 1 else 'trajectories'} from {where}", err=True)


def _records(where: Path, filters: dict[str, Any], order: str) -> Iterator[Record]:
    from gateway.store import record_read

    return record_read.records(where, record_filters.query(filters | _LIKE, record_filters.ALL, order))


def _newest(where: Path, filters: dict[str, Any], limit: int) -> list[Trajectory]:
    """Those that were heard of last, first."""
    from gateway.store.trajectories import name_of

    chosen: dict[tuple[str, str], list[Record]] = {}
    for record in _records(where, filters, record_filters.NEWEST):
        whose = record.tenant, name_of(record)
        if whose[1] and (whose in chosen or len(chosen) < limit):
            chosen.setdefault(whose, []).append(record)
    found = list(_joined(where, (its[::-1] for its in chosen.values())))
    return sorted(found, key=lambda each: each.steps[-1].record.started_ns, reverse=True)[:limit]


def _of(where: Path, name: str) -> list[Trajectory]:
    """All that have this conversation or trace."""
    from gateway.store import record_read
    from gateway.store.record_query import Query

    found = list(record_read.records(where, Query(conversation=name)))
    if not found and len(name) == _TRACE_DIGITS:
        found = list(record_read.records(where, Query(trace=name)))
    return list(_joined(where, [found]))


def _own(where: Path, tenant: str, name: str) -> list[Trajectory]:
    """All that a caller of the tenant's names so."""
    from gateway.policy.conversation import names_of

    return [each for key in names_of(tenant, name) for each in _of(where, key)]


def _all(where: Path, filters: dict[str, Any]) -> Iterator[Trajectory]:
    """By their beginnings."""
    from gateway.store.trajectories import name_of

    groups: dict[tuple[str, str], list[Record]] = {}
    for record in _records(where, filters, record_filters.OLDEST):
        if name := name_of(record):
            groups.setdefault((record.tenant, name), []).append(record)
    return _joined(where, groups.values())


def _joined(where: Path, groups: Iterable[list[Record]]) -> Iterator[Trajectory]:
    """Those of records that have one name each, with what was kept of them: read for some together."""
    batch: list[list[Record]] = []
    for its in groups:
        batch.append(its)
        if sum(map(len, batch)) >= _TOGETHER:
            yield from _read(where, batch)
            batch = []
    yield from _read(where, batch)


def _read(where: Path, batch: Sequence[list[Record]]) -> Iterator[Trajectory]:
    from gateway.store import trajectories as joining

    known = _contents(where, [record.id for its in batch for record in its])
    for its in batch:
        yield from joining.trajectories(its, known)


def _contents(where: Path, ids: list[str]) -> Any:
    """What was kept; nothing where it could not have been: its package is not installed."""
    from gateway.store.content import folder

    if not folder(where).is_dir():
        return {}
    from gateway.store import content_read

    return content_read.contents(where, ids, os.environ)
