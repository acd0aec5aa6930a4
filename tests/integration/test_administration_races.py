"""Two control processes at once on one store: whatever they do to each other, what is left makes sense."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.support.administration import KEYS, Administration, Answer, administration, quoted
from tests.support.control_stores import Site

ROUNDS = 15
"""Which of two is first changes from round to round."""


def on(place: Site, work: Callable[[Administration, Administration], Awaitable[None]]) -> None:
    """Does `work` with two administrations of one store, which has the tenant acme; then verifies its log."""

    async def run() -> None:
        async with (
            administration(place.folder, url=place.url) as one,
            administration(place.folder, url=place.url) as two,
        ):
            await one.made("/tenants", {"name": "acme", "models": ["*"]})
            await work(one, two)
            assert (await two.ask("GET", "/changes/verify")).json["whole"]

    asyncio.run(run())


def told(answer: Answer) -> str:
    return str(answer.status) if answer.status < 400 else answer.code


async def names(admin: Administration, path: str) -> list[str]:
    answer = await admin.ask("GET", path)
    return [item["name"] for item in answer.json["items"]] if answer.status == 200 else []


def test_no_key_is_left_for_a_project_that_is_removed_meanwhile(place: Site) -> None:
    async def work(one: Administration, two: Administration) -> None:
        for n in range(ROUNDS):
            await one.made("/tenants/acme/projects", {"name": "web"})
            made, gone = await asyncio.gather(
                one.ask("POST", KEYS, {"name": f"k{n}", "projects": ["web"]}),
                two.ask("DELETE", "/tenants/acme/projects/web"),
            )
            left = await names(two, KEYS), await names(two, "/tenants/acme/projects")
            if made.status == 201:
                assert (gone.code, gone.json["error"]["keys"], left) == ("in_use", [f"k{n}"], ([f"k{n}"], ["web"]))
                await one.ask("DELETE", f"{KEYS}/k{n}")
                await one.ask("DELETE", "/tenants/acme/projects/web")
            else:
                assert 'no project "web"' in made.message
                assert (gone.status, left) == (200, ([], []))

    on(place, work)


def test_a_key_that_is_given_a_project_keeps_it_or_is_told_that_it_went(place: Site) -> None:
    async def work(one: Administration, two: Administration) -> None:
        await one.made(KEYS, {"name": "app"})
        for _ in range(ROUNDS):
            await one.made("/tenants/acme/projects", {"name": "web"})
            given, gone = await asyncio.gather(
                one.ask("PATCH", f"{KEYS}/app", {"projects": ["web"]}), two.ask("DELETE", "/tenants/acme/projects/web")
            )
            assert (told(given), told(gone)) in (("200", "in_use"), ("invalid_request", "200"))
            await one.ask("PATCH", f"{KEYS}/app", {"projects": []})
            await one.ask("DELETE", "/tenants/acme/projects/web")

    on(place, work)


def test_nothing_is_left_of_a_tenant_that_is_removed_while_it_is_given_more(place: Site) -> None:
    async def work(one: Administration, two: Administration) -> None:
        for n in range(ROUNDS):
            await one.made("/tenants", {"name": f"t{n}", "models": ["*"]})
            key, project, gone = await asyncio.gather(
                one.ask("POST", f"/tenants/t{n}/keys", {"name": "app"}),
                one.ask("POST", f"/tenants/t{n}/projects", {"name": "web"}),
                two.ask("DELETE", f"/tenants/t{n}?all_below=true"),
            )
            assert {told(key), told(project)} <= {"201", "not_found"}
            assert gone.status == 200
            assert await names(one, f"/tenants?prefix=t{n}") == []
            left = await one.service.store.entries(tenant=f"t{n}")
            assert left == []
            await one.made("/tenants", {"name": f"t{n}", "models": ["*"]})
            kept, key = await asyncio.gather(
                two.ask("DELETE", f"/tenants/t{n}"), one.ask("POST", f"/tenants/t{n}/keys", {"name": "other"})
            )
            assert (told(kept), told(key)) in (("200", "not_found"), ("in_use", "201"))

    on(place, work)


def test_one_owner_is_left_however_many_are_demoted_and_removed_at_once(place: Site) -> None:
    lesser = {"roles": [{"role": "viewer"}]}

    async def work(one: Administration, two: Administration) -> None:
        owner = "first"
        await one.token_of(owner, "owner")
        for n in range(ROUNDS):
            await one.token_of(f"next-{n}", "owner")
            method, body = ("PATCH", lesser) if n % 2 else ("DELETE", None)
            answers = await asyncio.gather(
                one.ask("PATCH", f"/principals/{owner}", lesser), two.ask(method, f"/principals/next-{n}", body)
            )
            assert sorted(map(told, answers)) == ["200", "last_owner"]
            found = (await one.ask("GET", "/principals?limit=1000")).json["items"]
            (owner,) = [each["name"] for each in found if each["roles"][0]["role"] == "owner"]

    on(place, work)


def test_a_token_that_is_replaced_twice_at_once_is_replaced_twice(place: Site) -> None:
    async def work(one: Administration, two: Administration) -> None:
        await one.token_of("vera", "viewer")
        for _ in range(4):  # more wrong tokens would be slowed down
            answers = await asyncio.gather(*(each.ask("POST", "/principals/vera/rotate") for each in (one, two)))
            valid = [(await one.ask("GET", "/whoami", token=each.json["token"])).status for each in answers]
            assert sorted(valid) == [200, 401]

    on(place, work)


def test_meters_that_are_raised_at_once_are_both_raised(place: Site) -> None:
    async def work(one: Administration, two: Administration) -> None:
        meters = [{"cap": "$1", "window": "month"}, {"cap": "9 requests", "window": "60s"}]
        await one.made(KEYS, {"name": "app", "meters": meters})
        for n in range(ROUNDS):
            answers = await asyncio.gather(
                one.ask("PATCH", f"/meters/{quoted('key:acme/app|usd')}", {"cap": f"${n + 2}"}),
                two.ask("PATCH", f"/meters/{quoted('key:acme/app|requests')}", {"cap": f"{n + 10} requests"}),
            )
            assert [answer.status for answer in answers] == [200, 200]
            found = (await one.ask("GET", f"{KEYS}/app")).json
            assert [meter["cap"] for meter in found["meters"]] == [f"${n + 2}", f"{n + 10} requests"]
            named = {"if_match": f'"{found["version"]}"'}
            same = await asyncio.gather(
                one.ask("PATCH", f"/meters/{quoted('key:acme/app|usd')}", {"cap": "$500"}, **named),
                two.ask("PATCH", f"/meters/{quoted('key:acme/app|usd')}", {"cap": "$600"}, **named),
            )
            assert sorted(map(told, same)) == ["200", "conflict"]
            (late,) = [answer.json["error"] for answer in same if answer.status == 409]
            assert late["current"] == late["yours"] + 1

    on(place, work)


def test_a_name_and_an_idempotency_key_are_good_for_one_of_two_at_once(place: Site) -> None:
    async def work(one: Administration, two: Administration) -> None:
        for n in range(ROUNDS):
            both = await asyncio.gather(*(each.ask("POST", KEYS, {"name": f"k{n}"}) for each in (one, two)))
            assert sorted(map(told, both)) == ["201", "exists"]
            same = await asyncio.gather(
                *(each.ask("POST", KEYS, {"name": f"i{n}"}, idempotency_key=f"i-{n}") for each in (one, two))
            )
            assert [answer.status for answer in same] == [201, 201]
            assert sorted(answer.json["secret"] is None for answer in same) == [False, True]

    on(place, work)
