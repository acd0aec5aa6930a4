"""One contract for every store of meters: changes are whole, kept, and of one owner after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from gateway.clock import SystemClock
from gateway.config.snapshot_meters import MONEY
from gateway.dataplane.leasing import Leasing, Short
from gateway.policy import authority
from gateway.policy.authority import Report
from gateway.store.meters import MeterStore
from tests.support.meter_stores import KINDS, MARKS, Site, site
from tests.support.meters import meter, needs

OWNERS = ("state:0-1", "state:1-1", "state:2-1")


@pytest.fixture(scope="module", params=[pytest.param(kind, marks=MARKS.get(kind, ())) for kind in KINDS])
def lasting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A store that is there, for as many owners as ask."""
    with site(request.param, tmp_path_factory.mktemp("site")) as there:
        yield there


@pytest.fixture
def place(lasting: Site) -> Site:
    """The same with nothing in it."""
    asyncio.run(lasting.wipe())
    return lasting


def put(value: bytes | None, result: int = 0):  # type: ignore[no-untyped-def]
    """A change that writes this whatever was there."""
    return lambda key, old: (value, (key, old, result))


async def ask(store: MeterStore, owner: str, report: Report) -> authority.Reply:
    def change(key: str, raw: bytes | None) -> tuple[bytes, authority.Reply]:
        state = authority.decode(raw)
        reply = authority.exchange(state, owner, report, 0)
        return authority.encode(state), reply

    return (await store.update([report.key], change))[report.key]


def test_what_was_changed_is_there_for_all(place: Site) -> None:
    async def run() -> None:
        async with place.stores(2) as (first, second):
            assert await first.update(["a", "b|c"], put(b"one")) == {"a": ("a", None, 0), "b|c": ("b|c", None, 0)}
            assert await second.update(["a"], put(b"two", 7)) == {"a": ("a", b"one", 7)}
            assert await first.read(["a", "b|c", "never"]) == {"a": b"two", "b|c": b"one"}

    asyncio.run(run())


def test_a_state_that_is_none_is_gone_and_one_that_stays_stays(place: Site) -> None:
    async def run() -> None:
        async with place.stores(1) as (store,):
            await store.update(["a", "b"], put(b"one"))
            await store.update(["a", "never"], put(None))
            await store.update(["b"], lambda key, old: (old, None))
            assert await store.scan() == {"b": b"one"}

    asyncio.run(run())


def test_keys_are_found_by_how_they_begin(place: Site) -> None:
    async def run() -> None:
        keys = [
            "tenant:a|usd|day@UTC|2026-11-22",
            "tenant:a_|usd|day@UTC|2026-11-22",
            "tenant:ab%2F*?[x]|usd",
            "Ünïcode",
        ]
        async with place.stores(1) as (store,):
            await store.update(keys, put(b"\x00\xff"))
            assert sorted(await store.scan()) == sorted(keys)
            assert sorted(await store.scan("tenant:a")) == sorted(keys[:3])
            assert sorted(await store.scan("tenant:a_")) == [keys[1]]
            assert sorted(await store.scan("tenant:ab%2F*?[")) == [keys[2]]
            assert await store.scan("tenant:A") == {}

    asyncio.run(run())


def test_changes_of_many_owners_never_lose_one_another(place: Site) -> None:
    def add(key: str, old: bytes | None) -> tuple[bytes, int]:
        count = int(old or b"0") + 1
        return b"%d" % count, count

    async def run() -> None:
        async with place.stores(3) as stores:

            async def count(store: MeterStore, keys: Sequence[str]) -> list[int]:
                return [(await store.update(keys, add))["x"] for _ in range(40)]

            seen = await asyncio.gather(
                *(count(store, keys) for store, keys in zip(stores, (["x", "y"], ["y", "x"], ["x"]), strict=True))
            )
            assert sorted(n for each in seen for n in each) == list(range(1, 121))
            assert await stores[0].read(["x", "y"]) == {"x": b"120", "y": b"80"}

    asyncio.run(run())


def test_many_keys_at_once(place: Site) -> None:
    async def run() -> None:
        keys = [f"tenant:t{n}|requests|60s|" for n in range(600)]
        async with place.stores(1) as (store,):
            await store.update(keys, put(b"x" * 900))
            assert len(await store.read(keys)) == 600
            assert await store.update([], put(b"y")) == {}
            assert await store.read([]) == {}

    asyncio.run(run())


def test_what_a_change_raises_is_raised_and_nothing_of_that_key_is_changed(place: Site) -> None:
    def fail(key: str, old: bytes | None) -> tuple[bytes, None]:
        raise ValueError("of the change")

    async def run() -> None:
        async with place.stores(1) as (store,):
            await store.update(["a"], put(b"one"))
            with pytest.raises(ValueError, match="of the change"):
                await store.update(["a"], fail)
            assert await store.read(["a"]) == {"a": b"one"}
            await store.update(["a"], put(b"two"))

    asyncio.run(run())


def test_what_was_changed_outlives_the_owner(place: Site) -> None:
    if place.kind == "memory":
        pytest.skip("memory keeps nothing")

    async def run() -> None:
        async with place.stores(1) as (store,):
            await store.update(["a"], put(b"one"))
        async with place.stores(1) as (store,):
            await store.check()
            assert await store.read(["a"]) == {"a": b"one"}

    asyncio.run(run())


def test_a_recall_reaches_every_other_owner(place: Site) -> None:
    async def run() -> None:
        keys = ["a|b", "tenant:ü", *(f"tenant:{'x' * 200}{n}|usd|month@Europe/Berlin|2026-11" for n in range(300))]
        async with place.stores(3) as stores:
            heard: dict[int, list[str]] = {0: [], 1: [], 2: []}
            for n, store in enumerate(stores):
                store.on_recall(lambda keys, n=n: heard[n].extend(keys))  # type: ignore[misc]
            for _ in range(300):  # an owner that has just come may not hear the first ones
                await stores[0].recall(keys)
                await asyncio.sleep(0.02)
                if set(heard[1]) == set(heard[2]) == set(keys):
                    break
            assert (set(heard[0]), set(heard[1]), set(heard[2])) == (set(), set(keys), set(keys))

    asyncio.run(run())


def test_leases_of_three_owners_never_exceed_the_cap(place: Site) -> None:
    async def run() -> None:
        async with place.stores(3) as stores:

            async def grab(n: int) -> int:
                granted = 0
                for _ in range(20):
                    report = Report("m", 1_000, known=granted > 0, granted=granted, least=7, need=7, want=60)
                    granted = (await ask(stores[n], OWNERS[n], report)).granted
                return granted

            granted = await asyncio.gather(*(grab(n) for n in range(3)))
            state = authority.decode((await stores[0].read(["m"]))["m"])
            assert sum(granted) == state.leased() <= 1_000
            assert sum(granted) > 1_000 - 7

    asyncio.run(run())


def test_workers_spend_a_cap_to_its_last_unit_and_never_more(place: Site) -> None:
    """Also what another one has in its pocket: that is what recalls are for."""
    cap = 400

    async def run() -> None:
        async with place.stores(3) as stores:
            workers = [Leasing(store, OWNERS[n], SystemClock()) for n, store in enumerate(stores)]
            bundles = [each.bundle([each.bucket(meter(MONEY, cap), "shared")]) for each in workers]
            held = spent = 0

            async def ask(n: int, nanos: int, wait_s: float) -> None:
                nonlocal held, spent
                hold = await workers[n].hold_or_wait(bundles[n], needs(nanos=nanos), wait_s)
                held += nanos
                assert held + spent <= cap
                await asyncio.sleep(0.001)
                held -= nanos
                spent += nanos // 2
                workers[n].settle(hold, needs(nanos=nanos // 2))

            asked = [ask(n % 3, nanos, 0.05) for nanos in (2, 9, 30) for n in range(12)]
            refused = [each for each in await asyncio.gather(*asked, return_exceptions=True) if each is not None]
            assert all(isinstance(each, Short) for each in refused)
            await asyncio.sleep(0.2)  # until those who listen for recalls surely do
            while spent < cap:
                await ask(spent % 3, min(2, cap - spent), 5.0)
                spent += cap - spent == 1  # a half of one is none
            for each in workers:
                await each.stop()
            state = authority.decode((await stores[0].read(["shared"]))["shared"])
            assert state.leased() == 0
            assert state.settled in (cap, cap - 1)

    asyncio.run(run())
