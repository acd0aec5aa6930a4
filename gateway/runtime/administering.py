"""The administration on this machine without a listener: what the command line runs on a state directory, whether a
gateway runs there or not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from gateway.clock import SystemClock
from gateway.config import load, units
from gateway.control import app
from gateway.control.door import App
from gateway.control.service import Service
from gateway.errors import ConfigError
from gateway.policy.roles import Grant, Principal
from gateway.runtime import meter_stores, state_dir
from gateway.runtime.declared_files import DeclaredFiles
from gateway.store.control.base import ControlStore, ControlStoreDown
from gateway.store.control.opening import open_store
from gateway.store.meters import MeterStore
from gateway.telemetry.logs import Log


class NotKnown(Exception):
    """What stands around the state directory cannot be found out; the message says what to name."""


class Opened(NamedTuple):
    """What the app is made of, and the stores that are to be closed."""

    service: Service
    trusted: Principal
    stores: tuple[ControlStore, MeterStore]

    def app(self, resource: str) -> App:
        """The app, as far as it stands under /admin/RESOURCE."""
        return app.build(self.service, trusted=self.trusted, resource=resource)


async def opened(where: Path, config: Path | None, user: str) -> Opened:
    """The administration for who is on the machine: an owner, `local`. `config`: the folder of the configuration;
    that of the gateway that runs there when None. Raises NotKnown."""
    running = state_dir.published(where)
    ops = None if running is None else running.ops
    if config is not None:
        stores = load.load(config).stores
        meters_at, control_at = stores.meters, stores.control
    elif running is not None and running.config:
        config, meters_at, control_at = Path(running.config), running.meters, running.control_store
    else:
        raise NotKnown(f"no gateway runs on {where}, so its configuration is not known here: name it with --config")
    try:
        store = open_store(units.resolve_env(control_at, os.environ), where)
        await store.open()
    except (ControlStoreDown, ConfigError, ValueError) as error:
        raise NotKnown(f"the control store: {error}") from error
    meters = meter_stores.open_store(meters_at, where, f"{state_dir.state_id(where)}:command")
    clock = SystemClock()
    service = Service(
        store=store,
        declared=DeclaredFiles(config, None, os.environ).read,
        meters=meters,
        state_dir=where,
        ops_url=ops,
        environ=os.environ,
        clock=clock,
        log=Log(clock, "error", process="command"),
    )
    trusted = Principal("local", user, (Grant("owner"),))
    return Opened(service, trusted, (store, meters))
