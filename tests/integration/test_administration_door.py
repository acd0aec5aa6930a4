"""Who may do what in the administration, and what is refused at its door."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter

from gateway.control.door import MOST_BODY_BYTES
from gateway.control.gates import gated, needs
from gateway.control.routes import routers
from gateway.policy.roles import Grant, Principal, may
from tests.support.administration import ROOT_TOKEN, Administration, administration
from tests.support.control_stores import Site

GRANTS = {
    "owner": Grant("owner"),
    "admin": Grant("admin"),
    "operator": Grant("operator"),
    "viewer": Grant("viewer"),
    "admin-of-acme": Grant("admin", "acme"),
    "viewer-of-acme": Grant("viewer", "acme"),
    "admin-of-filed": Grant("admin", "filed"),
}
BODIES: dict[str, Any] = {
    "/admin/tenants": {"name": "new", "models": ["*"]},
    "/admin/tenants/{tenant}/projects": {"name": "new"},
    "/admin/tenants/{tenant}/keys": {"name": "new"},
    "/admin/principals": {"name": "new", "roles": [{"role": "viewer"}]},
    "/admin/check": {"files": {}},
    "/admin/meters/{bucket:path}": {"cap": "$1"},
}


def on(place: Site, work: Callable[[Administration], Awaitable[None]]) -> None:
    async def run() -> None:
        async with administration(place.folder, url=place.url) as admin:
            await work(admin)

    asyncio.run(run())


def test_a_route_that_does_not_say_who_may_call_it_is_found() -> None:
    async def gate(asked: Annotated[Any, needs("viewer")]) -> None: ...

    async def open_to_all() -> None: ...

    routes = APIRouter()
    routes.get("/guarded")(gate)
    assert [path for _, path, _ in gated([routes])] == ["/guarded"]
    routes.get("/open")(open_to_all)
    with pytest.raises(TypeError, match="/open does not say who may call it"):
        list(gated([routes]))


def test_every_route_lets_in_who_may_and_nobody_else(place: Site) -> None:
    async def work(admin: Administration) -> None:
        await admin.made("/tenants", {"name": "acme", "models": ["*"]})
        tokens = {name: await admin.token_of(name, grant.role, grant.tenant) for name, grant in GRANTS.items()}
        walked = 0
        for method, path, needed in gated(routers(admin.service)):
            filled = path.removeprefix("/admin")
            for part in ("{project}", "{key}", "{principal}", "{digest}", "{other}", "{backend}", "{alias:path}"):
                filled = filled.replace(part, "nothing")
            filled = filled.replace("{tenant}", "acme").replace("{bucket:path}", "key:acme/nothing")
            for name, grant in GRANTS.items():
                body = None
                if method in ("POST", "PATCH"):
                    body = {**BODIES[path], "name": f"new-{walked}"} if "name" in BODIES.get(path, ()) else None
                    body = body or BODIES.get(path, {"endpoint": "x"} if "backends" in path else {})
                answer = await admin.ask(method, filled, body, token=tokens[name])
                let_in = may(Principal(name, "", (grant,)), needed, "acme" if "{tenant}" in path else "")
                # A bucket of acme's is nobody's who has no role there, though the route is open to a role for anything.
                if "{bucket:path}" in path and name == "admin-of-filed":
                    let_in = False
                assert (answer.status != 403) == let_in, f"{name}: {method} {path} → {answer.status}"
                assert answer.status < 500 or path == "/admin/snapshots/current", f"{method} {path}: {answer}"
                walked += 1
            refused = await admin.ask(method, filled, {}, token=None)
            assert refused.status == 401, path
        assert walked > 200

    on(place, work)


def test_who_has_a_role_for_one_tenant_sees_nothing_of_others(place: Site) -> None:
    async def work(admin: Administration) -> None:
        await admin.made("/tenants", {"name": "acme", "models": ["*"]})
        await admin.made("/tenants", {"name": "globex", "models": ["*"]})
        await admin.made("/tenants/globex/keys", {"name": "app", "meters": [{"cap": "$1", "window": "day"}]})
        token = await admin.token_of("anna", "admin", "acme")
        listed = (await admin.ask("GET", "/tenants?limit=1", token=token)).json
        assert ([item["name"] for item in listed["items"]], listed["next"]) == (["acme"], None)
        changes = (await admin.ask("GET", "/changes", token=token)).json["items"]
        assert [(item["kind"], item["name"]) for item in changes] == [("tenant", "acme")]
        there, nowhere = [
            await admin.ask("GET", f"/tenants/{name}/keys/app", token=token) for name in ("globex", "nobody")
        ]
        assert (there.status, nowhere.status) == (403, 403)
        assert there.message.replace("globex", "nobody") == nowhere.message
        assert (await admin.ask("GET", "/meters/key:globex/app", token=token)).status == 403
        own = await admin.ask("PATCH", "/tenants/acme", {"meters": []}, token=token)
        assert own.status == 403, "a tenant's own limits are given to it"
        assert (await admin.ask("PATCH", "/meters/tenant:acme", {"cap": "$9"}, token=token)).status == 403

    on(place, work)


def test_the_last_owner_is_neither_removed_nor_demoted_nor_given_an_end(place: Site) -> None:
    async def work(admin: Administration) -> None:
        await admin.token_of("alice", "owner")
        for method, body in (
            ("DELETE", None),
            ("PATCH", {"roles": [{"role": "admin"}]}),
            ("PATCH", {"expires": "2099-01-01"}),
        ):
            answer = await admin.ask(method, "/principals/alice", body)
            assert (answer.status, answer.code) == (409, "last_owner")
        await admin.made("/principals", {"name": "brief", "roles": [{"role": "owner"}], "expires": "2099-01-01"})
        assert (await admin.ask("DELETE", "/principals/alice")).code == "last_owner"
        await admin.token_of("bob", "owner")
        gone = await asyncio.gather(*(admin.ask("DELETE", f"/principals/{name}") for name in ("alice", "bob")))
        assert sorted(answer.status for answer in gone) == [200, 409]
        assert (await admin.ask("DELETE", "/principals/root")).status == 404
        assert (await admin.ask("POST", "/principals", {"name": "root", "roles": [{"role": "viewer"}]})).status == 400

    on(place, work)


def test_a_token_ends_with_its_principal_its_rotation_and_its_date(place: Site) -> None:
    async def work(admin: Administration) -> None:
        body = {"name": "bob", "roles": [{"role": "viewer"}], "expires": "2027-01-16"}
        first = (await admin.made("/principals", body))["token"]
        assert (await admin.ask("GET", "/whoami", token=first)).json["name"] == "bob"
        second = (await admin.made("/principals/bob/rotate", None))["token"]
        assert (await admin.ask("GET", "/whoami", token=first)).status == 401
        assert (await admin.ask("GET", "/whoami", token=second)).status == 200
        admin.clock.advance(2 * 86_400)
        assert (await admin.ask("GET", "/whoami", token=second)).status == 401
        await admin.ask("PATCH", "/principals/bob", {"expires": None})
        assert (await admin.ask("GET", "/whoami", token=second)).status == 200
        await admin.ask("DELETE", "/principals/bob")
        assert (await admin.ask("GET", "/whoami", token=second)).status == 401
        assert (await admin.ask("POST", "/principals", body)).code == "name_used"

    on(place, work)


def test_who_guesses_is_slowed_and_logged_without_the_guess(place: Site) -> None:
    async def work(admin: Administration) -> None:
        for guess in range(5):
            assert (await admin.ask("GET", "/tenants", token=f"wrong-guess-{guess}")).status == 401
        slowed = await admin.ask("GET", "/tenants", token=ROOT_TOKEN)
        assert (slowed.status, slowed.code, slowed.headers["retry-after"]) == (429, "too_many_failures", "1")
        assert (await admin.ask("GET", "/tenants", client="10.0.0.9")).status == 200
        admin.clock.advance(1.5)
        assert (await admin.ask("GET", "/tenants")).status == 200
        assert (await admin.ask("GET", "/tenants", token="wrong-guess-6")).status == 401
        admin.clock.advance(1.5)
        assert (await admin.ask("GET", "/tenants")).status == 429, "each further one doubles the wait"
        assert [each["in_a_row"] for each in admin.events("admin_token_wrong")] == [1, 2, 3, 4, 5, 6]
        assert b"wrong-guess" not in b"".join(admin.lines)
        assert ROOT_TOKEN.encode() not in b"".join(admin.lines)

    on(place, work)


@pytest.mark.parametrize(
    "query", ["token=x", "access_token=", "API_KEY=x", f"x={ROOT_TOKEN}", "prefix=lga-" + "a" * 43, "a=lg-" + "a" * 43]
)
def test_a_token_in_a_url_is_refused_also_beside_a_good_one(place: Site, query: str) -> None:
    async def work(admin: Administration) -> None:
        for token in (ROOT_TOKEN, None):
            answer = await admin.ask("GET", f"/tenants?{query}", token=token)
            assert (answer.status, answer.code) == (400, "token_in_url")
        assert ROOT_TOKEN.encode() not in b"".join(admin.lines)

    on(place, work)


def test_a_nul_in_a_query_is_refused_before_a_store_sees_it(place: Site) -> None:
    async def work(admin: Administration) -> None:
        for path in ("/tenants?prefix=%00", "/principals?after=a%00b", "/changes?tenant=%00"):
            answer = await admin.ask("GET", path)
            assert (answer.status, answer.code) == (400, "invalid_request")

    on(place, work)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", f"Basic {ROOT_TOKEN}", ROOT_TOKEN])
def test_a_request_without_a_token_is_refused_and_counts_as_no_guess(place: Site, header: str) -> None:
    async def work(admin: Administration) -> None:
        for _ in range(7):
            answer = await admin.ask("GET", "/tenants", token=None, authorization=header)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert admin.events("admin_token_wrong") == []

    on(place, work)


def test_a_body_that_is_too_large_is_refused_however_it_comes(place: Site) -> None:
    async def work(admin: Administration) -> None:
        body = b'{"files": {"a.yaml": "' + b"a" * MOST_BODY_BYTES + b'"}}'
        assert (await admin.ask("POST", "/check", body)).code == "body_too_large"
        told = await admin.ask("POST", "/check", b"{}", content_length=str(MOST_BODY_BYTES + 1))
        assert told.code == "body_too_large"

    on(place, work)


def test_what_is_not_there_is_told_in_the_same_form(place: Site) -> None:
    async def work(admin: Administration) -> None:
        assert (await admin.ask("GET", "/nothing")).code == "unknown_path"
        put = await admin.ask("PUT", "/tenants", {})
        assert (put.status, put.code) == (405, "method_not_allowed")
        reason = await admin.ask("POST", "/tenants", {"name": "x", "models": []}, x_lockgate_reason="a" * 501)
        assert reason.json["error"]["param"] == "x-lockgate-reason"
        answer = await admin.ask("GET", "/whoami")
        assert answer.headers["x-request-id"].startswith("adm_")
        assert answer.headers["cache-control"] == "no-store"

    on(place, work)


def test_a_store_that_does_not_answer_is_a_503_and_our_bugs_are_a_500_without_their_reason(place: Site) -> None:
    from gateway.store.control.base import ControlStoreDown

    class Down:
        def __init__(self, store: Any, error: Exception | None = None) -> None:
            self._store = store
            self.error = error

        def __getattr__(self, name: str) -> Any:
            async def fails(*_: object, **__: object) -> None:
                assert self.error is not None
                raise self.error

            return getattr(self._store, name) if self.error is None or name in ("open", "close") else fails

    async def run() -> None:
        from gateway.store.control.opening import open_store

        store: Any = Down(open_store(place.url, place.folder))
        async with administration(place.folder, store=store) as admin:
            store.error = ControlStoreDown("the disk is full")
            down = await admin.ask("GET", "/tenants")
            assert (down.status, down.code) == (503, "unavailable")
            assert "the disk is full" in down.message
            store.error = KeyError("a secret detail")
            bug = await admin.ask("GET", "/tenants")
            assert (bug.status, bug.code) == (500, "internal")
            assert "secret detail" not in bug.message
            assert admin.events("admin_request_failed")
            assert (await admin.ask("GET", "/whoami")).json["name"] == "root"

    asyncio.run(run())
