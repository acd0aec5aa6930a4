"""`lockgate replay`: derives the decisions of recorded requests again, and compares."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import click

from gateway.cli import places
from gateway.cli.terminal import visible

if TYPE_CHECKING:
    from gateway.policy.replay import Tally
    from gateway.policy.replay_meters import Derived

_SHOWN: Final = 20
_WIDTH: Final = 100
_LINE: Final = "{:12} {:>11} {:>11} {:>11}"


@click.command(short_help="Derive the decisions of recorded requests again, and compare.")
@click.argument("ids", metavar="[ID]…", nargs=-1)
@click.option("--since", metavar="TIME", help="Requests from then on: 7d, 12h, 2026-11-01, 2026-11-01T12:00 (UTC).")
@click.option("--until", metavar="TIME", help="Before then.")
@click.option("--tenant", help="Only this tenant's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@places.options
def replay(
    ids: tuple[str, ...],
    since: str | None,
    until: str | None,
    tenant: str | None,
    as_json: bool,
    state_dir: Path | None,
    config: Path | None,
) -> None:
    """Derives again what was decided over requests, from their records and the snapshots they ran under, with the very
    functions that decided: who asked, route, chain, meters, endpoint, retries, charge.

    Name requests by their ids (the header x-request-id), or a time with --since. Nothing is sent or changed. Exit code
    1 if anything comes out differently, or a snapshot is missing.
    """
    from gateway.cli.archived import Made, records
    from gateway.policy.replay import Replay, Tally
    from gateway.store.record_query import ANY, Query

    if not ids and since is None:
        raise click.UsageError("name requests by their ids, or a time with --since")
    where = places.state_dir_of(state_dir, config)
    query = Query(since_ns=_ns(since, "--since"), until_ns=_ns(until, "--until"), tenant=tenant, ids=ids, order=ANY)
    made, tally = Made(where, Replay), Tally()
    differences: list[tuple[str, Derived]] = []
    seen: set[str] = set()
    begun_s = time.process_time()
    for record in records(where, query):
        if ids:
            seen.add(record.id)
        found = made.of(record.snapshot) if record.snapshot else None
        if found is not None:
            different = tally.add(found.of(record))
            if len(differences) < _SHOWN:
                differences += [(record.id, each) for each in different]
        elif record.snapshot:
            tally.missing[record.snapshot] += 1
        else:
            tally.add(())  # refused before it was looked at: an unknown path
    spent_s = time.process_time() - begun_s
    if not as_json:
        many = f"{tally.records:,} record{'' if tally.records == 1 else 's'}"
        click.echo(f"{many} of {where}, replayed in {spent_s:.2f} s of CPU\n")
    for line in _json(tally, differences) if as_json else _table(tally, differences, made.missing):
        click.echo(visible(line, keeps="\n"))
    if absent := sorted(set(ids) - seen):
        raise click.ClickException(f"no record of {', '.join(absent)} in {where}")
    sys.exit(1 if tally.different or tally.missing else 0)


def _table(tally: Tally, differences: list[tuple[str, Derived]], why: dict[str, str]) -> Iterator[str]:
    names = list(dict.fromkeys([*tally.equal, *tally.different, *(name for name, _ in tally.not_derived)]))
    unknown: Counter[str] = Counter()
    for (name, _), count in tally.not_derived.items():
        unknown[name] += count
    yield _LINE.format("decision", "equal", "different", "not derived")
    for name in names:
        yield _LINE.format(name, f"{tally.equal[name]:,}", f"{tally.different[name]:,}", f"{unknown[name]:,}")
    sums = (tally.equal.total(), tally.different.total(), unknown.total())
    yield _LINE.format("total", *(f"{each:,}" for each in sums))
    if tally.not_derived:
        yield "\nNot derived:"
        for (name, reason), count in tally.not_derived.most_common():
            yield f"  {count:>9,}  {name}: {reason}"[:_WIDTH]
    for digest, count in tally.missing.most_common():
        yield f"\nNot replayed: {count:,} records, whose snapshot is missing: {why[digest]}"
    if differences:
        yield f"\nDifferent (the first {_SHOWN} at most):"
    for record_id, each in differences[:_SHOWN]:
        yield f"  {record_id} {each.decision}"
        yield f"      recorded {each.recorded or 'nothing'}"
        yield f"      derived  {each.derived or 'nothing'}"


def _json(tally: Tally, differences: list[tuple[str, Derived]]) -> Iterator[str]:
    yield json.dumps(
        {
            "records": tally.records,
            "equal": dict(tally.equal),
            "different": dict(tally.different),
            "not_derived": [
                {"decision": name, "why": why, "count": count} for (name, why), count in tally.not_derived.items()
            ],
            "missing_snapshots": dict(tally.missing),
            "differences": [
                {"id": record_id, "decision": each.decision, "recorded": each.recorded, "derived": each.derived}
                for record_id, each in differences[:_SHOWN]
            ],
        },
        indent=2,
        ensure_ascii=False,
    )


def _ns(written: str | None, option: str) -> int | None:
    from gateway.cli.usage_times import moment_ns

    if written is None:
        return None
    try:
        return moment_ns(written, ZoneInfo("UTC"), time.time_ns())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None
