"""`lockgate check DIR`: says what a configuration will run, and ends with 1 when it is wrong or doubtful."""

from __future__ import annotations

import time
from pathlib import Path

import click


@click.command(short_help="Say what a configuration will run, and what is doubtful about it.")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
def check(directory: Path) -> None:
    """Say what the configuration in DIR will run, under this environment (LOCKGATE_…, and every ${NAME} in it).

    Exit codes: 0 it will run as it says; 1 an error (it will not run), or a doubt (it will, but probably not as meant);
    2 wrong usage.
    """
    from gateway.backends import embedded_models, provider_extra
    from gateway.config import archive, review, review_telemetry
    from gateway.config.describe import describe
    from gateway.runtime import checking, classic_models, configuration, controlling, grpc_listener, otlp

    found = configuration.read(directory)
    config, places = found.config, found.places
    now_s = time.time()
    for line in describe(config, now_s):
        click.echo(line)
    for path, origin in sorted(places.overridden.items()):
        click.echo(f"{'.'.join(map(str, path))} comes from {origin}")
    click.echo(f"Snapshot {archive.digest(archive.encode(found.config))}")
    doubts = [
        *review.doubts(config, now_s),
        *review.missing_files(config, lambda path: Path(path).exists()),
        *review.missing_models(config, embedded_models.missing),
        *review.missing_providers(config, provider_extra.missing),
        *review.missing_grpc(config, grpc_listener.missing),
        *review.missing_control(config, controlling.missing),
        *review_telemetry.missing(config, otlp.missing),
        *checking.missing(config),
        *classic_models.unchecked(config),
    ]
    if not doubts:
        click.echo("No doubts.")
        return
    click.echo(f"\n{len(doubts)} doubt{'s' if len(doubts) > 1 else ''}:")
    for doubt in doubts[:100]:
        click.echo(f"  {places.show(doubt)}")
    if len(doubts) > 100:
        click.echo(f"  … and {len(doubts) - 100} more")
    raise SystemExit(1)
