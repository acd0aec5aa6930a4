"""Budgets by API: given, looked at, raised and lowered."""

from __future__ import annotations

from gateway.policy import authority
from gateway.policy.authority import BucketState
from gateway.store.meters_memory import MemoryMeters
from tests.support.administration import KEYS, Administration, on, quoted
from tests.support.control_stores import Site


def test_money_is_not_counted_where_that_would_refuse_every_call(place: Site) -> None:
    files = "backends: {b: {kind: fake}}\nmodels: {m: {backend: b}}\n"

    async def work(admin: Administration) -> None:
        answer = await admin.ask("POST", KEYS, {"name": "app", "meters": [{"cap": "$1", "window": "month"}]})
        assert (answer.status, answer.json["error"]["param"]) == (400, "meters[0].cap")
        assert "give the models prices first" in answer.message
        await admin.made(KEYS, {"name": "app", "meters": [{"cap": "9 requests", "window": "60s"}]})

    on(place, work, files=files)


def test_a_meter_is_read_raised_and_lowered_below_what_is_used(place: Site) -> None:
    meters = MemoryMeters()

    async def work(admin: Administration) -> None:
        await admin.made(KEYS, {"name": "app", "meters": [{"cap": "$1", "window": "month", "at": {"80%": "warn"}}]})
        unused = (await admin.ask("GET", "/meters/key:acme/app")).json
        bucket = "key:acme/app|usd|month@UTC|2027-01"
        assert (unused["bucket"], unused["used"], unused["cap"], unused["cap_text"]) == (bucket, 0, 10**9, "$1")
        state = authority.encode(BucketState(settled=2 * 10**9, cap=10**9))
        await meters.update([bucket], lambda key, stored: (state, None))
        raised = (await admin.ask("PATCH", "/meters/key:acme/app", {"cap": "$5"})).json
        assert (raised["cap_text"], raised["used"], raised["left"]) == ("$5", 2 * 10**9, 3 * 10**9)
        lowered = await admin.ask("PATCH", f"/meters/{quoted(bucket)}", {"cap": "$0.50"})
        assert (lowered.status, lowered.json["left"]) == (200, 0)
        kept = (await admin.ask("GET", f"{KEYS}/app")).json["meters"]
        assert kept == [{"cap": "$0.50", "window": "month", "at": {"80%": "warn"}}]
        other = await admin.ask("PATCH", "/meters/key:acme/app", {"cap": "5 requests"})
        assert (other.status, other.json["error"]["param"]) == (400, "cap")
        listed = (await admin.ask("GET", "/meters?prefix=key:&below_permille=100")).json["items"]
        assert [item["bucket"] for item in listed] == [bucket]
        for nothing in ("key:acme/nobody", "tenant:nobody", "nonsense", "model:nobody", quoted("a|b|c|d|e")):
            assert (await admin.ask("GET", f"/meters/{nothing}")).status == 404, nothing

    on(place, work, meters=meters)


def test_a_budget_is_in_the_list_from_when_it_is_given(place: Site) -> None:
    meters = MemoryMeters()

    async def work(admin: Administration) -> None:
        async def listed(query: str = "") -> dict[str, tuple[int, int]]:
            items = (await admin.ask("GET", f"/meters{query}")).json["items"]
            return {item["bucket"]: (item["used"], item["cap"]) for item in items}

        month = "usd|month@UTC|2027-01"
        assert await listed() == {f"tenant:filed|{month}": (0, 100 * 10**9)}
        budget = {"meters": [{"cap": "$1", "window": "month"}, {"cap": "$1", "window": "day", "per": "end_user"}]}
        await admin.made(KEYS, {"name": "app", **budget})
        await admin.made("/tenants/acme/projects", {"name": "app", **budget})
        await admin.made("/tenants/acme/keys", {"name": "bare"})
        await admin.ask("PATCH", "/tenants/acme", budget)
        key, project, tenant = [f"{word}|{month}" for word in ("key:acme/app", "project:acme/app", "tenant:acme")]
        assert list(await listed()) == [key, project, tenant, f"tenant:filed|{month}"]
        for prefix, buckets in (
            *(("key:", [key]), ("key:acme/a", [key]), ("key:acme/b", []), ("key:ac", [key]), (quoted(key), [key])),
            *(("tenant:acm", [tenant]), ("tenant:f", [f"tenant:filed|{month}"]), ("pro", [project]), ("model:", [])),
        ):
            assert list(await listed(f"?prefix={prefix}")) == buckets, prefix
        state = authority.encode(BucketState(settled=7, cap=10**9))
        old = "key:acme/gone|requests|lifetime|"
        await meters.update([key, old], lambda key, stored: (state, None))
        await admin.ask("PATCH", "/meters/key:acme%2Fapp%7Cusd%7Cmonth@UTC", {"cap": "$5"})
        assert await listed("?prefix=key:") == {key: (7, 5 * 10**9), old: (7, 10**9)}
        assert list(await listed(f"?prefix=key:&limit=1&after={quoted(key)}")) == [old]
        token = await admin.token_of("anna", "viewer", "filed")
        of_filed = (await admin.ask("GET", "/meters", token=token)).json["items"]
        assert [item["bucket"] for item in of_filed] == [f"tenant:filed|{month}"]

    on(place, work, meters=meters)


def test_of_several_meters_one_must_be_named(place: Site) -> None:
    async def work(admin: Administration) -> None:
        meters = [{"cap": "$1", "window": "month"}, {"cap": "9 requests", "window": "60s"}]
        await admin.made(KEYS, {"name": "app", "meters": meters})
        many = await admin.ask("PATCH", "/meters/key:acme/app", {"cap": "$2"})
        assert (many.status, many.code) == (409, "ambiguous")
        one = await admin.ask("PATCH", f"/meters/{quoted('key:acme/app|requests')}", {"cap": "10 requests"})
        assert (one.status, one.json["cap"]) == (200, 10)

    on(place, work)
