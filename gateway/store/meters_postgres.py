"""Meters in PostgreSQL, for gateways on more than one machine that have one anyway: a row for each bucket.

    lockgate_meters (key text primary key, state bytea)        the channel of recalls: lockgate_meters_recall

Rows are locked in the order of their keys, so that owners never wait for each other in a circle. What was committed
is on the disk (`synchronous_commit` is on for our sessions; `check` refuses a server with `fsync` off). Made to work
with a connection of its own for each owner, not through a pooler that hands them out by transaction (LISTEN).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.errors import ConfigError
from gateway.policy.authority import Spends
from gateway.store.meters import Change, MeterStoreDown, Recalled, T
from gateway.store.recall_sockets import parts

TIMEOUT_S: Final = 2.0
"""No answer to a statement within this time is none."""
AGAIN_S: Final = 0.5
"""How long after its connection for recalls was lost another one is tried."""
CHANNEL: Final = "lockgate_meters_recall"
MOST_PAYLOAD: Final = 5_500
"""Bytes of keys in one notification, of which PostgreSQL takes 8,000 once they are written in base64."""

CREATE: Final = "CREATE TABLE IF NOT EXISTS lockgate_meters (key text PRIMARY KEY, state bytea NOT NULL)"
READ: Final = "SELECT key, state FROM lockgate_meters WHERE key = ANY($1::text[])"
LOCK: Final = READ + " ORDER BY key FOR UPDATE"
ADD: Final = (
    "INSERT INTO lockgate_meters SELECT key, ''::bytea FROM unnest($1::text[]) AS new (key) ORDER BY key "
    "ON CONFLICT (key) DO NOTHING"
)
"""A row that is empty is none: it is there to be locked."""
WRITE: Final = (
    "UPDATE lockgate_meters SET state = new.state FROM unnest($1::text[], $2::bytea[]) AS new (key, state) "
    "WHERE lockgate_meters.key = new.key"
)
DROP: Final = "DELETE FROM lockgate_meters WHERE key = ANY($1::text[])"
SCAN: Final = "SELECT key, state FROM lockgate_meters WHERE starts_with(key, $1) AND state <> ''"


class PostgresMeters:
    """One owner's way to a PostgreSQL: one connection for what it asks, and one on which it is told of recalls."""

    def __init__(self, url: str, owner: str, timeout_s: float = TIMEOUT_S) -> None:
        """Raises ConfigError where the client is not installed."""
        try:
            import asyncpg
        except ImportError as error:
            raise ConfigError("stores.meters is a PostgreSQL: pip install 'lockgate[postgresql]'") from error
        self._client = asyncpg
        self._errors = (
            *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
            *(OSError, TimeoutError),
        )
        self._url = url
        self._owner = owner
        self._timeout_s = timeout_s
        self._connection: Any = None
        self._turn = asyncio.Lock()
        self._listening: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Raises ConfigError when this PostgreSQL may forget, or cannot be used."""
        async with self._asking() as connection:
            fsync = await connection.fetchval("SHOW fsync")
            in_recovery = await connection.fetchval("SELECT pg_is_in_recovery()")
        if fsync != "on":
            raise ConfigError(
                "stores.meters: this PostgreSQL may forget what was granted: set `fsync = on` (it is "
                f"`{fsync}`) in its configuration"
            )
        if in_recovery:
            raise ConfigError("stores.meters: this PostgreSQL is a standby, which cannot be written; name the primary")

    async def update(self, keys: Sequence[str], change: Change[T], *, restating: bool = False) -> dict[str, T]:
        """See `MeterStore`."""
        if not keys:
            return {}
        async with self._asking() as connection:
            while True:
                done = await self._update(connection, keys, change)
                if not isinstance(done, list):
                    return done
                await connection.execute(ADD, done)

    async def read(self, keys: Sequence[str]) -> dict[str, bytes]:
        """See `MeterStore`."""
        async with self._asking() as connection:
            return {key: state for key, state in await connection.fetch(READ, list(keys)) if state}

    async def scan(self, prefix: str = "") -> dict[str, bytes]:
        """See `MeterStore`."""
        async with self._asking() as connection:
            return dict(await connection.fetch(SCAN, prefix))

    async def recall(self, keys: Sequence[str]) -> None:
        """See `MeterStore`."""
        with contextlib.suppress(MeterStoreDown):
            async with self._asking() as connection:
                for part in parts(keys, MOST_PAYLOAD):
                    payload = base64.b64encode(msgspec.msgpack.encode((self._owner, part))).decode()
                    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, payload)

    def on_recall(self, callback: Recalled) -> None:
        """Needs a running loop. See `MeterStore`."""
        self._listening = asyncio.get_running_loop().create_task(self._listen(callback))

    async def reconciled(self) -> bool:
        """Always: what was committed is not lost."""
        return True

    async def restate_done(self, position: tuple[int, int]) -> None:
        """Never unreconciled."""

    async def restated(self) -> dict[str, tuple[int, int]]:
        """Nobody."""
        return {}

    async def reconcile(self, sums: Mapping[str, Mapping[str, Spends]], now_s: int) -> None:
        """Nothing is ever lost here."""

    async def close(self) -> None:
        """See `MeterStore`."""
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
        await self._hang_up()

    @contextlib.asynccontextmanager
    async def _asking(self) -> AsyncIterator[Any]:
        """One at a time on the one connection; in our errors' terms."""
        async with self._turn:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await self._connect()
                yield self._connection
            except self._errors as error:
                await self._hang_up()
                raise MeterStoreDown(f"PostgreSQL: {str(error) or type(error).__name__}") from error
            except asyncio.CancelledError:
                await self._hang_up()
                raise

    async def _connect(self) -> Any:
        connection = await self._client.connect(
            self._url,
            timeout=self._timeout_s,
            command_timeout=self._timeout_s,
            server_settings={"synchronous_commit": "on", "application_name": "lockgate"},
        )
        if await connection.fetchval("SELECT to_regclass('lockgate_meters')") is None:
            with contextlib.suppress(self._client.UniqueViolationError):  # another owner is making it, too
                await connection.execute(CREATE)
        return connection

    async def _update(self, connection: Any, keys: Sequence[str], change: Change[T]) -> dict[str, T] | list[str]:
        """The results; or the keys that have no row yet, which must be there before any is locked: an owner that makes
        rows while it has others locked could wait for one that waits for it."""
        results: dict[str, T] = {}
        async with connection.transaction():
            before = dict(await connection.fetch(LOCK, list(keys)))
            missing = [key for key in keys if key not in before]
            if missing:
                return missing
            written: dict[str, bytes] = {}
            dropped: list[str] = []
            for key in keys:
                old = before[key] or None
                new, results[key] = change(key, old)
                if new is None:
                    dropped.append(key)
                elif new != old:
                    written[key] = new
            if written:
                await connection.execute(WRITE, list(written), list(written.values()))
            if dropped:
                await connection.execute(DROP, dropped)
        return results

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _listen(self, callback: Recalled) -> None:
        decode = msgspec.msgpack.Decoder(tuple[str, list[str]]).decode

        def heard(_connection: object, _pid: int, _channel: str, payload: str) -> None:
            with contextlib.suppress(ValueError, msgspec.DecodeError):
                owner, keys = decode(base64.b64decode(payload))
                if owner != self._owner:
                    callback(keys)

        while True:
            with contextlib.suppress(*self._errors):
                await self._listen_once(heard)
            await asyncio.sleep(AGAIN_S)

    async def _listen_once(self, heard: Callable[[object, int, str, str], None]) -> None:
        """Until the connection is lost."""
        lost = asyncio.Event()
        connection = await self._client.connect(self._url, timeout=self._timeout_s)
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, heard)
            await lost.wait()
        finally:
            connection.terminate()
