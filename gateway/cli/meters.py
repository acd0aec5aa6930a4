"""`lockgate meters`: how the meters stand, other caps for them, and what to do about an owner that is
gone for good."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gateway.cli import admin_client, admin_options, admin_table, places
from gateway.cli.admin_client import Client
from gateway.cli.admin_table import Column, Item

if TYPE_CHECKING:
    from gateway.policy.authority import BucketState
    from gateway.store.meters import MeterStore

_T = TypeVar("_T")
_MOST_BUCKETS = 100_000
"""So many are looked at to find those with the least left."""


STANDING = (
    Column("meter", admin_table.text("bucket")),
    Column("cap", admin_table.text("cap_text")),
    Column("used", lambda item: _amount(item, "used")),
    Column("left", lambda item: _amount(item, "left")),
)


@click.group(
    cls=admin_options.Group, short_help="Show meters, raise or lower a cap, or reclaim what a lost owner had leased."
)
def meters() -> None:
    """Show meters, raise or lower a cap, or reclaim what a lost owner had leased."""


@meters.command(short_help="Show what is used, leased and left of each meter.")
@click.argument("prefix", default="")
@click.option("--owners", is_flag=True, help="Show who has leased what instead; with --state-dir only.")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", default=50, show_default=True, help="At most so many."
)
@admin_options.output
@admin_client.options
def show(client: Client, prefix: str, owners: bool, limit: int, form: str) -> None:
    """Shows the buckets of the meters, those with the least left first; only those whose name begins with PREFIX
    (`tenant:acme`, `key:acme/app`). Those that were not used yet are among them where a gateway runs, and with
    --config.

    `used` was spent in the window, `leased` is in the hands of workers: held by requests that run, or taken ahead.
    """
    from gateway.cli import meters_table

    if owners:
        found, lines = _owners(client, prefix)
    else:
        found = _rows(client, prefix)
        lines = meters_table.table(found[:limit])
    if form == "json":
        for row in found:
            click.echo(json.dumps(row))
        return
    if not found:
        click.echo(f"No {'leases' if owners else 'meter has been used yet'} in {client.where}.")
        return
    for line in lines:
        click.echo(line)
    if not owners and len(found) > limit:
        click.echo(f"… {len(found) - limit:,} more; say a prefix, or --limit")


def _rows(client: Client, prefix: str) -> list[Item]:
    """The buckets that there are. On this machine the store itself is asked: it also says who has leased of them."""
    from gateway.cli import meters_table

    if client.local is None:
        items, _ = client.pages("meters", limit=_MOST_BUCKETS, prefix=prefix)
        return meters_table.rows_of_answers(items)
    where, config = client.local.state_dir, client.local.config
    states = _with_store(where, config, lambda store: _buckets(store, prefix))
    return meters_table.rows(_with_declared(states, where, config, prefix), int(time.time()))


def _owners(client: Client, prefix: str) -> tuple[list[Item], Iterator[str]]:
    """Who has leased what, and the lines of its table."""
    from gateway.cli import meters_table

    if client.local is None:
        raise click.UsageError("--owners is about workers of this machine: it takes --state-dir, not --url")
    where = client.local.state_dir
    leases = _leases(_with_store(where, client.local.config, lambda store: _buckets(store, prefix)))
    lines = meters_table.owners_table(leases, {owner: _status(where, owner) for owner in leases})
    return [{"owner": owner, "unspent": by} for owner, by in sorted(leases.items())], lines


@meters.command(name="raise", short_help="Raise a cap.")
@click.argument("meter")
@click.argument("cap")
@admin_options.output
@admin_client.changing
def raise_(client: Client, meter: str, cap: str, form: str, reason: str | None) -> None:
    """Raises the cap of METER, as `meters show` names it (`key:acme/app`), to CAP (`$50`): what waits for it is let in
    again within a second."""
    _set_cap(client, meter, cap, form, reason, higher=True)


@meters.command(short_help="Lower a cap.")
@click.argument("meter")
@click.argument("cap")
@admin_options.output
@admin_client.changing
def lower(client: Client, meter: str, cap: str, form: str, reason: str | None) -> None:
    """Lowers the cap of METER to CAP. Where more than that is used, nothing more is let in until the window ends."""
    _set_cap(client, meter, cap, form, reason, higher=False)


def _set_cap(client: Client, meter: str, cap: str, form: str, reason: str | None, *, higher: bool) -> None:
    from gateway.config import units_money

    before = client.get("meters", meter)
    try:
        _, wanted = units_money.split_cap(units_money.cap(cap))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="CAP") from error
    if (wanted > before["cap"]) != higher and wanted != before["cap"]:
        word = "lower" if higher else "raise"
        raise click.UsageError(f"the cap of {meter} is {before['cap_text']}: use `lockgate meters {word}`")
    changed = client.call("PATCH", ("meters", meter), body={"cap": cap}, reason=reason)
    told = f"{'Raised' if higher else 'Lowered'} the cap from {before['cap_text']} to {changed['cap_text']}"
    admin_options.show_one(changed, STANDING, form, f"{told} in {client.where}")


def _amount(item: Item, name: str) -> str:
    from gateway.cli import meters_table

    return meters_table.amount(item["quantity"], item[name])


@meters.command(short_help="Give back what an owner that is gone had leased.")
@click.argument("owner")
@click.option("--as-spent", is_flag=True, help="Count what it had leased as spent, instead of giving it back.")
@admin_options.sure
@places.options
def reclaim(owner: str, as_spent: bool, yes: bool, state_dir: Path | None, config: Path | None) -> None:
    """Ends the leases of OWNER (as `meters show --owners` names it), which will never be heard of again: a machine that
    is lost with its disk.

    What it had leased and not told to be spent is given back; if it did spend of it, that is not counted. Workers that
    died here need none of this: the gateway reads in their journals what they spent.
    """
    from gateway.clock import SystemClock
    from gateway.store import settling

    where = places.state_dir_of(state_dir, config)
    status = _status(where, owner)
    if status in ("alive", "to be settled"):
        what = "it runs" if status == "alive" else "its journal is here: a gateway that runs on it settles its leases"
        raise click.ClickException(f"{owner} needs no reclaiming: {what}")
    leases = _with_store(where, config, lambda store: settling.leases_of(store, owner))
    if not leases:
        raise click.ClickException(f"no owner {owner!r} has leased anything; see lockgate meters show --owners")
    from gateway.cli.meters_table import owners_table

    for line in owners_table({owner: {key: lease.unspent for key, lease in leases.items()}}, {owner: status}):
        click.echo(line)
    admin_options.confirmed("Count all of this as spent?" if as_spent else "Give all of this back?", yes=yes)
    spends = dict.fromkeys(leases) if as_spent else dict.fromkeys(leases, ())
    _with_store(where, config, lambda store: settling.end(store, owner, spends, SystemClock()))
    click.echo(f"{owner} has no leases any more")


def _with_store(where: Path, config: Path | None, work: Callable[[MeterStore], Coroutine[Any, Any, _T]]) -> _T:
    """Does `work` with the store that the gateway uses; what goes wrong is a message."""
    from gateway.runtime import meter_stores, state_dir
    from gateway.store.meters import MeterStoreDown

    written = "sqlite"
    if config is not None:
        from gateway.config import load

        written = load.load(config).stores.meters
    elif (running := state_dir.published(where)) is not None:
        written = running.meters
    elif not (where / meter_stores.DATABASE).exists():
        raise click.ClickException(f"there are no meters in {where}; if they are in another store, name the --config")

    async def done() -> _T:
        store = meter_stores.open_store(written, where, f"{state_dir.state_id(where)}:command")
        try:
            return await work(store)
        finally:
            await store.close()

    try:
        return asyncio.run(done())
    except (MeterStoreDown, OSError) as error:
        raise click.ClickException(f"the store of the meters: {error}") from error


async def _buckets(store: MeterStore, prefix: str) -> dict[str, BucketState]:
    import msgspec

    from gateway.policy import authority

    found = {}
    for key, raw in (await store.scan(prefix)).items():
        try:
            found[key] = authority.decode(raw)
        except msgspec.DecodeError:
            click.echo(f"the bucket {key} cannot be read", err=True)
    return found


def _with_declared(
    states: dict[str, BucketState], where: Path, config: Path | None, prefix: str
) -> dict[str, BucketState]:
    """The buckets under the caps that they have now, and those that were not used yet."""
    import msgspec

    from gateway.policy.authority import BucketState
    from gateway.runtime import declared_caps

    try:
        caps = asyncio.run(declared_caps.caps(where, config, prefix))
    except declared_caps.NotReadable as error:
        click.echo(f"Not shown: meters that were not used yet, and caps that changed since. {error}", err=True)
        return states
    return states | {
        bucket: msgspec.structs.replace(states.get(bucket, BucketState()), cap=cap) for bucket, cap in caps.items()
    }


def _leases(states: dict[str, BucketState]) -> dict[str, dict[str, int]]:
    """What each owner may still spend, by bucket."""
    found: dict[str, dict[str, int]] = {}
    for key, state in states.items():
        for owner, lease in state.leases.items():
            found.setdefault(owner, {})[key] = lease.unspent
    return found


def _status(where: Path, owner: str) -> str:
    """`alive`, `to be settled` (dead, and its journal is here), `lost` (of here, without a journal) or `elsewhere`."""
    from gateway.runtime import state_dir
    from gateway.store.journal_read import writer_lives

    of, _, journal = owner.partition(":")
    if of != state_dir.state_id(where):
        return "elsewhere"
    directory = where / "journal" / journal
    if not journal or not directory.is_dir():
        return "lost"
    return "alive" if writer_lives(directory) else "to be settled"
