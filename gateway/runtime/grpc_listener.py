"""The worker's gRPC listener, if one is configured: started before the worker says that it is ready, stopped as it
drains.

The packages it needs come with an extra and are imported only here, when there is such a listener.
"""

from __future__ import annotations

import asyncio
import importlib.util
from typing import TYPE_CHECKING, Final

from gateway.dataplane.gateway import Gateway
from gateway.errors import ConfigError

if TYPE_CHECKING:
    import grpc.aio

_MODULES: Final = {"grpc": "grpcio", "google.protobuf": "protobuf"}


def missing() -> str | None:
    """What keeps a gRPC listener from being offered here, with the command that installs it; None when nothing does."""
    lacking = [package for module, package in _MODULES.items() if not _found(module)]
    if not lacking:
        return None
    return f"a gRPC listener needs {' and '.join(lacking)}, not installed here: pip install 'lockgate[grpc]'"


class GrpcListener:
    """One server on one address."""

    def __init__(self) -> None:
        self._server: grpc.aio.Server | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def start(self, gateway: Gateway, address: str) -> None:
        """Listens on `host:port`, shared with the other workers. Raises ConfigError when it cannot."""
        from gateway.dataplane import grpc_calls

        try:
            self._server, _ = await grpc_calls.listen(gateway, address)
        except RuntimeError as error:
            raise ConfigError(f"server.grpc: cannot listen on {address}: {error}") from None

    def finish(self, grace_s: float) -> None:
        """Takes no new calls; running ones get `grace_s` to end, and are then cancelled."""
        if self._server is not None:
            # Stopping again with less grace is how gRPC is told to hurry.
            self._stopping = asyncio.get_running_loop().create_task(self._server.stop(grace_s))

    async def ended(self) -> None:
        """Returns when all calls have ended, after `finish`."""
        if self._stopping is not None:
            await self._stopping


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it is not there
        return False
