"""The sockets that the supervisor listens on or holds for others, opened before anything is started."""

from __future__ import annotations

import socket
from typing import NamedTuple

from gateway.config.model import Config
from gateway.config.units import split_address
from gateway.runtime import controlling, grpc_listener, sockets
from gateway.runtime.failures import StartFailed


class Listeners(NamedTuple):
    """`data`: one for each worker. `grpc` holds the port for the workers that listen on it; `control` is for the
    control process. Both are None where there is to be none."""

    data: list[socket.socket]
    ops: socket.socket
    grpc: socket.socket | None
    control: socket.socket | None

    def grpc_address(self) -> str | None:
        """HOST:PORT."""
        return None if self.grpc is None else sockets.address_of(self.grpc)

    def control_url(self) -> str | None:
        """`http://HOST:PORT`."""
        return None if self.control is None else sockets.url_of(self.control)

    def close(self) -> None:
        """Closes those that the supervisor alone has; the others are closed by whom they were given to."""
        self.ops.close()
        if self.grpc is not None:
            self.grpc.close()


def opened(config: Config, workers: int) -> Listeners:
    """All of them. Raises StartFailed."""
    return Listeners(
        data=sockets.listen_shared(*split_address(config.server.bind), workers),
        ops=sockets.listen_alone(*split_address(config.server.ops)),
        grpc=_hold_grpc(config.server.grpc),
        control=controlling.hold(config),
    )


def _hold_grpc(listen: str | None) -> socket.socket | None:
    if listen is None:
        return None
    lacking = grpc_listener.missing()
    if lacking is not None:
        raise StartFailed(f"server.grpc: {lacking}")
    return sockets.hold_shared(*split_address(listen))
