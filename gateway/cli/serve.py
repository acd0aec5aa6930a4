"""`lockgate serve`: run the gateway."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import click


class WorkerCount(click.ParamType[int | Literal["auto"]]):
    """A whole number or `auto`; its range is the configuration's to check."""

    name = "workers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | Literal["auto"]:
        return "auto" if value == "auto" else click.INT.convert(value, param, ctx)


WORKERS = WorkerCount()


@click.command(short_help="Run the gateway.")
@click.option(
    "--config",
    "folder",
    metavar="DIR",
    required=True,
    envvar="LOCKGATE_CONFIG",
    type=click.Path(path_type=Path),
    help="The folder of configuration files.",
)
@click.option("--bind", metavar="HOST:PORT", help="The data listener's address.")
@click.option("--port", metavar="P", type=int, help="Its port alone; 0 takes a free one.")
@click.option("--ops", metavar="HOST:PORT", help="The ops listener's address (metrics and health).")
@click.option(
    "--workers", metavar="N|auto", type=WORKERS, help="Worker processes; auto: one for each CPU that is granted."
)
@click.option("--state-dir", metavar="D", help="Where journals and archived configurations are kept.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="The least severe event written."
)
def serve(folder: Path, **flags: Any) -> None:
    """Serves until SIGTERM or SIGINT; a second one does not wait for running requests. SIGHUP, or a changed file,
    reloads.

    Prints `ready http://HOST:PORT` once it serves, and nothing else on stdout; events and the access log go to stderr
    as JSON lines. Flags beat the environment (LOCKGATE_PORT, …), which beats the files.
    """
    # Imported here so that `lockgate --help` does not pay for it.
    from gateway.config.model import Overrides
    from gateway.errors import ConfigError
    from gateway.runtime import supervisor
    from gateway.runtime.failures import StartFailed

    try:
        supervisor.run(folder, Overrides(**flags), on_ready=lambda url: print(f"ready {url}", flush=True))
    except (ConfigError, StartFailed) as error:
        sys.exit(f"lockgate serve: {error}")
