"""Meters in Redis, for gateways on more than one machine: a key for each bucket, changed by compare-and-set.

All keys lie in one slot of a cluster, hence on one of its masters, whose run is the one that counts. Which one that is
any node tells (MOVED), and is asked again when it does not answer: after a failover it is another.

Redis must write every change through before it answers (`appendonly yes`, `appendfsync always`) and evict nothing:
`check` refuses any other. A Redis that comes back with another run id may have lost something, however it was set up
(a replica took over, a file was cut): until each owner has told its leases again and the keeper has compared with the
ledger (`reconcile`), it grants nothing.

    lockgate:{meters}:KEY            a bucket's state
    lockgate:{meters}-run            STATE_ID → the run id it was reconciled with
    lockgate:{meters}-restated:RUN   owner → the position in its journal as of which it told its leases again
    lockgate:meters-recall           the channel of recalls
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway.errors import ConfigError
from gateway.policy import authority
from gateway.policy.authority import Spends
from gateway.store.meters import Change, MeterStoreDown, Recalled, T, Unreconciled

TIMEOUT_S: Final = 2.0
"""No answer within this time is none."""
AT_ONCE: Final = 256
"""Keys in one round trip."""
AGAIN_S: Final = 0.5
"""How long after its connection for recalls was lost another one is tried."""
IDLE_S: Final = 1.0
"""A connection that was not used for so long is tried first."""
PREFIX: Final = "lockgate:{meters}:"
RUNS: Final = "lockgate:{meters}-run"
RESTATED: Final = "lockgate:{meters}-restated:"
CHANNEL: Final = "lockgate:meters-recall"
RESTATED_FOR_S: Final = 86_400
MOST_MOVES: Final = 4
"""How often one node of a cluster may lead to another, before they are taken for confused."""

COMPARE_AND_SET: Final = """
local now = redis.call('GET', KEYS[1]) or ''
if now ~= ARGV[1] then return {0, now} end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2]) end
return {1, ''}
"""
REQUIRED: Final = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
"""What Redis must be told: every grant is on the disk before it is used, and none is ever thrown away."""


class RedisMeters:
    """One owner's way to a Redis: one connection for what it asks, and one on which it is told of recalls."""

    def __init__(self, url: str, owner: str, timeout_s: float = TIMEOUT_S) -> None:
        """Raises ConfigError where the client is not installed."""
        try:
            from redis import asyncio as client
            from redis.backoff import NoBackoff
            from redis.exceptions import ConnectionError as ConnectionLost
            from redis.exceptions import MovedError, RedisError
            from redis.retry import Retry
        except ImportError as error:
            raise ConfigError("stores.meters is a Redis: pip install 'lockgate[redis]'") from error
        self._owner = owner
        self._state_id = authority.state_id_of(owner)
        self._timeout_s = timeout_s
        self._errors = (RedisError, OSError, TimeoutError)
        self._lost = ConnectionLost
        self._moved = MovedError
        settings: dict[str, Any] = {
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "retry": Retry(NoBackoff(), 0),
        }
        self._redis: Any = client.Redis.from_url(url, **settings, max_connections=1, redis_connect_func=self._connected)
        self._named = self._address()
        """Where the URL leads to."""
        settings["socket_timeout"] = None  # recalls come when they come
        self._ear: Any = client.Redis.from_url(url, **settings)
        self._turn = asyncio.Lock()
        self._asked_s = 0.0
        self._run = ""
        """The server's run id, as of the last connection."""
        self._only_run = ""
        """While a change is under way: the run it began in. No other one may end it."""
        self._listening: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Raises ConfigError when this Redis may forget."""
        async with self._asking():
            try:
                found = {name: (await self._redis.config_get(name)).get(name, "?") for name in REQUIRED}
            except Exception as error:
                if "CONFIG" not in str(error).upper() and "NOPERM" not in str(error):
                    raise
                raise ConfigError(
                    "stores.meters: this Redis does not tell its settings (CONFIG GET), so that it cannot be seen "
                    f"whether it keeps what it is told; allow it to this user: {error}"
                ) from error
        wrong = {name: value for name, value in found.items() if value != REQUIRED[name]}
        if wrong:
            raise ConfigError(
                "stores.meters: this Redis may forget what was granted. Set "
                + ", ".join(f"`{name} {REQUIRED[name]}` (it is `{value}`)" for name, value in wrong.items())
                + " in its configuration, or use sqlite or PostgreSQL"
            )

    async def update(self, keys: Sequence[str], change: Change[T], *, restating: bool = False) -> dict[str, T]:
        """See `MeterStore`."""
        results: dict[str, T] = {}
        async with self._asking():
            for first in range(0, len(keys), AT_ONCE):
                await self._update(keys[first : first + AT_ONCE], change, results, restating)
        return results

    async def read(self, keys: Sequence[str]) -> dict[str, bytes]:
        """See `MeterStore`."""
        found: dict[str, bytes] = {}
        async with self._asking():
            for first in range(0, len(keys), AT_ONCE):
                some = keys[first : first + AT_ONCE]
                pipeline = self._redis.pipeline(transaction=False)
                for key in some:
                    pipeline.get(PREFIX + key)
                values = await pipeline.execute()
                found.update({key: value for key, value in zip(some, values, strict=True) if value is not None})
        return found

    async def scan(self, prefix: str = "") -> dict[str, bytes]:
        """See `MeterStore`."""
        escaped = "".join(f"\\{each}" if each in "*?[]\\" else each for each in PREFIX + prefix)
        async with self._asking():
            names = {name.decode() async for name in self._redis.scan_iter(match=escaped + "*", count=1000)}
        return await self.read(sorted(name.removeprefix(PREFIX) for name in names))

    async def recall(self, keys: Sequence[str]) -> None:
        """See `MeterStore`."""
        with contextlib.suppress(MeterStoreDown):
            async with self._asking():
                await self._redis.publish(CHANNEL, msgspec.msgpack.encode((self._owner, keys)))

    def on_recall(self, callback: Recalled) -> None:
        """Needs a running loop. See `MeterStore`."""
        self._listening = asyncio.get_running_loop().create_task(self._listen(callback))

    async def reconciled(self) -> bool:
        """See `MeterStore`."""
        async with self._asking():
            stored: bytes | None = await self._redis.hget(RUNS, self._state_id)
        return stored == self._run.encode()

    async def restate_done(self, position: tuple[int, int]) -> None:
        """See `MeterStore`."""
        async with self._asking():
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.hset(RESTATED + self._run, self._owner, f"{position[0]}:{position[1]}")
            pipeline.expire(RESTATED + self._run, RESTATED_FOR_S)
            await pipeline.execute()

    async def restated(self) -> dict[str, tuple[int, int]]:
        """See `MeterStore`."""
        async with self._asking():
            if not self._run:
                await self._redis.ping()
            stored: dict[bytes, bytes] = await self._redis.hgetall(RESTATED + self._run)
        found: dict[str, tuple[int, int]] = {}
        for owner, position in stored.items():
            segment, _, offset = position.decode().partition(":")
            found[owner.decode()] = (int(segment), int(offset))
        return found

    async def reconcile(self, sums: Mapping[str, Mapping[str, Spends]], now_s: int) -> None:
        """See `MeterStore`."""

        def raised(key: str, raw: bytes | None) -> tuple[bytes, None]:
            state = authority.decode(raw)
            for whose, spends in sums[key].items():
                authority.raise_to(state, whose, spends, now_s, restated.get(whose))
            return authority.encode(state), None

        restated = await self.restated()
        async with self._asking():
            await self._redis.ping()
            run = self._run
        await self.update(list(sums), raised, restating=True)
        async with self._asking():
            self._only_run = run
            await self._redis.hset(RUNS, self._state_id, run)

    async def close(self) -> None:
        """See `MeterStore`."""
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
        for each in (self._redis, self._ear):
            with contextlib.suppress(*self._errors):
                await each.aclose()

    @contextlib.asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """One at a time on the one connection; in our errors' terms."""
        async with self._turn:
            try:
                await self._answers()
                yield
            except self._moved as moved:
                await self._go_to((moved.host or self._named[0], moved.port))
                raise MeterStoreDown("Redis: the keys moved to another node of the cluster meanwhile") from moved
            except self._errors as error:
                await self._go_to(self._named)
                raise MeterStoreDown(f"Redis: {str(error) or type(error).__name__}") from error
            except asyncio.CancelledError:
                await self._hang_up()  # an answer may still come, which nobody reads
                raise
            finally:
                self._only_run = ""

    async def _answers(self) -> None:
        """After a while sees to a connection that works, to where the keys are: the server may close idle ones, which
        is no failure, and a node of a cluster tells which one has them.
        """
        now_s = asyncio.get_running_loop().time()
        if now_s - self._asked_s > IDLE_S:
            for _ in range(MOST_MOVES):
                try:
                    await self._redis.hget(RUNS, self._state_id)
                    break
                except self._moved as moved:
                    await self._go_to((moved.host or self._named[0], moved.port))
                except self._lost:
                    await self._hang_up()
                    break
        self._asked_s = now_s

    def _address(self) -> tuple[str, int]:
        settings = self._redis.connection_pool.connection_kwargs
        return settings.get("host", ""), settings.get("port", 0)

    async def _go_to(self, address: tuple[str, int]) -> None:
        """The next connection is one to there; at its first use it is seen whether the keys are."""
        await self._hang_up()
        self._asked_s = 0.0
        if self._address() != address:
            pool = self._redis.connection_pool
            pool.reset()  # a connection that was there before knows only its own address
            pool.connection_kwargs["host"], pool.connection_kwargs["port"] = address

    async def _hang_up(self) -> None:
        with contextlib.suppress(*self._errors):
            await self._redis.connection_pool.disconnect()

    async def _connected(self, connection: Any) -> None:
        """Each new connection says which run of the server it reached."""
        await connection.on_connect()
        await connection.send_command("INFO", "server")
        info: bytes = await connection.read_response()
        lines = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
        self._run = lines["run_id"]
        if self._only_run and self._run != self._only_run:
            raise ConnectionResetError("it was restarted meanwhile")

    async def _update(self, keys: Sequence[str], change: Change[T], results: dict[str, T], restating: bool) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hget(RUNS, self._state_id)
        for key in keys:
            pipeline.get(PREFIX + key)
        reconciled, *values = await pipeline.execute()
        if reconciled != self._run.encode() and not restating:
            raise Unreconciled(_RESTARTED)
        self._only_run = self._run
        before: dict[str, bytes | None] = dict(zip(keys, values, strict=True))
        while before:
            after: dict[str, bytes | None] = {}
            for key, old in before.items():
                new, results[key] = change(key, old)
                if new != old:
                    after[key] = new
            pipeline = self._redis.pipeline(transaction=False)
            for key, new in after.items():
                pipeline.eval(COMPARE_AND_SET, 1, PREFIX + key, before[key] or b"", new or b"")
            answers = await pipeline.execute() if after else []
            before = {
                key: now or None for key, (done, now) in zip(after, answers, strict=True) if not done
            }  # another owner was faster: again with what it wrote

    async def _listen(self, callback: Recalled) -> None:
        decode = msgspec.msgpack.Decoder(tuple[str, list[str]]).decode
        while True:
            with contextlib.suppress(*self._errors):
                async with self._ear.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(CHANNEL)
                    callback(())
                    async for message in channel.listen():
                        with contextlib.suppress(msgspec.DecodeError):
                            owner, keys = decode(message["data"])
                            if owner != self._owner:
                                callback(keys)
            await asyncio.sleep(AGAIN_S)


_RESTARTED: Final = "Redis was restarted: nothing is granted until it was compared with the ledger"
