"""One connection to PostgreSQL, made when it is needed and again when it was lost; its errors as ours."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from gateway.errors import ConfigError
from gateway.store.control.base import ControlStoreDown

CHANNEL: Final = "lockgate_control"


class Link:
    """Asked by one at a time."""

    def __init__(self, url: str, timeout_s: float) -> None:
        """Raises ConfigError where the client is not installed."""
        try:
            import asyncpg
        except ImportError as error:
            raise ConfigError("stores.control is a PostgreSQL: pip install 'lockgate[postgresql]'") from error
        self._client = asyncpg
        self._errors = (
            *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
            *(OSError, TimeoutError),
        )
        self._url = url
        self._timeout_s = timeout_s
        self._connection: Any = None
        self._turn = asyncio.Lock()

    def another(self) -> Link:
        """A connection of its own to the same server."""
        return Link(self._url, self._timeout_s)

    @contextlib.asynccontextmanager
    async def asking(self) -> AsyncIterator[Any]:
        """The connection. Raises ControlStoreDown where it fails, or does not answer in time, be it others: who waits
        behind a server that hangs waits no longer than the first."""
        async with self._translated():
            async with asyncio.timeout(self._timeout_s):
                await self._turn.acquire()
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await self._connect()
                yield self._connection
            except (asyncio.CancelledError, *self._errors):
                self._hang_up()
                raise
            finally:
                self._turn.release()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[tuple[Any, asyncio.Event]]:
        """The connection, and an event that is set when a change is told, and when the connection is lost."""
        async with self.asking() as connection:
            told = asyncio.Event()
            connection.add_termination_listener(lambda _: told.set())
            await connection.add_listener(CHANNEL, lambda *_: told.set())
            try:
                yield connection, told
            finally:
                self._hang_up()

    @contextlib.asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        """Errors of the client as ControlStoreDown."""
        try:
            yield
        except self._errors as error:
            what = str(error) or f"no answer within {self._timeout_s:g} s"
            if not isinstance(error, self._client.PostgresError):  # not its answer, but that there is none
                what += "; a change that was asked for may have happened"
            raise ControlStoreDown(f"the PostgreSQL of stores.control: {what}") from error

    async def close(self) -> None:
        """Hangs up."""
        async with self._turn:
            self._hang_up()

    async def _connect(self) -> Any:
        return await self._client.connect(
            self._url,
            timeout=self._timeout_s,
            command_timeout=self._timeout_s,
            server_settings={"synchronous_commit": "on", "application_name": "lockgate-control"},
        )

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
