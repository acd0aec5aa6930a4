"""`lockgate explain`: why a request went where it went and cost what it cost; or would, before it is sent."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from gateway.cli import places
from gateway.cli.terminal import visible

if TYPE_CHECKING:
    from gateway.policy.explain import Step

_WIDTH: Final = 100
_NAMES: Final = 12


@click.command(short_help="Say why a request went where it went and cost what it cost, or would.")
@click.argument("request_id", metavar="[ID]", default="")
@click.option(
    "--as", "key", metavar="KEY", help="Nothing is sent: what would be decided for this key (TENANT/KEY, or KEY)."
)
@click.option("--model", metavar="NAME", help="With --as: the model that is asked for.")
@click.option(
    "--body",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --as: the JSON body of a chat completion.  [default: one short message]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@places.options
def explain(
    request_id: str,
    key: str | None,
    model: str | None,
    body: Path | None,
    as_json: bool,
    state_dir: Path | None,
    config: Path | None,
) -> None:
    """Explains a request by its id (the header x-request-id), step by step, from its record and the snapshot it ran
    under. With --as and --model it says before anything is sent who would be asked, at what price, and what would be
    held; the configuration is that of --config, else the newest that was in force.
    """
    if bool(request_id) == bool(key):
        raise click.UsageError("name a request by its id, or a key with --as")
    if key is None:
        if model is not None or body is not None:
            raise click.UsageError("--model and --body go with --as")
        head, found = _of_record(places.state_dir_of(state_dir, config), request_id)
    else:
        if model is None and body is None:
            raise click.UsageError("--as needs --model, or a --body that names one")
        head, found = _ahead(key, model, body, state_dir, config)
    if as_json:
        click.echo(json.dumps({"about": head, "steps": [step._asdict() for step in found]}, indent=2))
        return
    for line in _lines(head, found):
        click.echo(line)


def _of_record(where: Path, request_id: str) -> tuple[str, Sequence[Step]]:
    from gateway.cli import archived
    from gateway.errors import ConfigError
    from gateway.policy.explain import Step, steps
    from gateway.store.record_query import ANY, Query

    query = Query(ids=(request_id,), order=ANY, limit=1)
    found = next(archived.records(where, query), None)
    if found is None:
        raise click.ClickException(f"no record of {request_id} in {where}: is it another gateway's, or too old?")
    moment = datetime.fromtimestamp(found.started_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
    head = f"{found.id}, {moment} UTC, snapshot {found.snapshot[:16] or 'none'}"
    if not found.snapshot:
        return head, steps(found, None)
    try:
        return head, steps(found, archived.read(where, found.snapshot))
    except ConfigError as error:
        return head, [*steps(found, None), Step("missing", [str(error)])]


def _ahead(
    key: str, model: str | None, body: Path | None, state_dir: Path | None, config: Path | None
) -> tuple[str, Sequence[Step]]:
    from gateway.cli import archived
    from gateway.config import archive, load, snapshot
    from gateway.policy.explain_ahead import steps
    from gateway.wire.chat import CODEC

    if config is not None:
        snap = snapshot.compile(load.load(config), "")
        head = f"as the configuration {config} says; nothing is sent"
    else:
        where = places.state_dir_of(state_dir, None)
        newest = next(archive.history(where), None)
        if newest is None:
            raise click.ClickException(f"no snapshot in {where}: name a configuration with --config")
        snap = archived.read(where, newest.digest)
        head = f"as the snapshot {newest.digest[:16]} says, the newest of {where}; nothing is sent"
    text = body.read_bytes() if body is not None else b'{"messages":[{"role":"user","content":"hello"}]}'
    return head, steps(snap, key, _named(text, model, body), CODEC)


def _named(text: bytes, model: str | None, body: Path | None) -> bytes:
    """The body with this model."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise click.ClickException(f"{body}: not JSON: {error}") from None
    if not isinstance(found, dict):
        raise click.ClickException(f"{body}: expected a JSON object, the body of a chat completion")
    return json.dumps(found if model is None else {**found, "model": model}, ensure_ascii=False).encode()


def _lines(head: str, found: Sequence[Step]) -> Iterator[str]:
    yield from textwrap.wrap(visible(head), _WIDTH, subsequent_indent="  ")
    for step in found:
        name = step.name
        for line in map(visible, step.lines):
            pieces = textwrap.wrap(line, _WIDTH - _NAMES - 2, subsequent_indent="  ", break_on_hyphens=False) or [""]
            for piece in pieces:
                yield f"  {name:{_NAMES}}{piece}"
                name = ""
