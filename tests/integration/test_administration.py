"""What the administration does, asked as a client asks it, over a real store; the listener and its process are in
`test_administration_serve`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.control.issuing import hash_of
from tests.support.administration import KEYS, Administration, on, quoted
from tests.support.control_stores import Site


def test_tenants_of_the_files_and_of_the_store_are_one_list(place: Site) -> None:
    async def work(admin: Administration) -> None:
        for name in ("zeta", "beta"):
            await admin.made("/tenants", {"name": name, "models": ["small"]})
        names, after = [], ""
        while True:
            page = (await admin.ask("GET", f"/tenants?limit=1&after={after}")).json
            names += [(item["name"], item["source"], item["place"]) for item in page["items"]]
            if page["next"] is None:
                break
            after = page["next"]
        assert names == [
            ("acme", "api", None),
            ("beta", "api", None),
            ("filed", "files", "gateway.yaml:9"),
            ("zeta", "api", None),
        ]
        found = (await admin.ask("GET", "/tenants?prefix=b")).json["items"]
        assert [item["name"] for item in found] == ["beta"]

    on(place, work)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a/b", 'character 2 is "/"'),
        ("\u0430cme", "U+0430 (CYRILLIC SMALL LETTER A)"),
        ("acme\u0000", "U+0000"),
        ("acme\n", "U+000A"),
        ("a\ud800", "U+D800"),
        ("", "not empty"),
        ("a" * 65, "at most 64"),
    ],
)
def test_a_name_that_is_none_is_refused_with_what_is_wrong(place: Site, name: str, told: str) -> None:
    async def work(admin: Administration) -> None:
        for path, body in (
            ("/tenants", {"name": name, "models": ["*"]}),
            ("/tenants/acme/projects", {"name": name}),
            (KEYS, {"name": name}),
            ("/principals", {"name": name, "roles": [{"role": "viewer"}]}),
        ):
            answer = await admin.ask("POST", path, body)
            assert (answer.status, answer.code, answer.json["error"]["param"]) == (400, "invalid_request", "name")
            assert told in answer.message
        got = await admin.ask("GET", f"/tenants/{quoted(name.encode('utf-8', 'replace').decode())}")
        assert got.status in (200, 404)

    on(place, work)


def test_what_is_there_already_is_not_made_again(place: Site) -> None:
    async def work(admin: Administration) -> None:
        await admin.made(KEYS, {"name": "app"})
        again = await admin.ask("POST", KEYS, {"name": "app"})
        assert (again.status, again.code) == (409, "exists")
        of_files = await admin.ask("POST", "/tenants/filed/keys", {"name": "old"})
        assert (of_files.status, of_files.code) == (409, "exists")
        assert "gateway.yaml:13" in of_files.message
        nowhere = await admin.ask("POST", "/tenants/nobody/keys", {"name": "app"})
        assert (nowhere.status, nowhere.code) == (404, "not_found")

    on(place, work)


def test_what_the_files_declare_is_changed_there(place: Site) -> None:
    async def work(admin: Administration) -> None:
        for method, path, body in (
            ("PATCH", "/tenants/filed", {"models": ["small"]}),
            ("DELETE", "/tenants/filed", None),
            ("PATCH", "/tenants/filed/keys/old", {"models": ["small"]}),
            ("DELETE", "/tenants/filed/projects/docs", None),
            ("POST", "/tenants/filed/keys/old/rotate", {}),
            ("PATCH", "/meters/tenant:filed", {"cap": "$1"}),
        ):
            answer = await admin.ask(method, path, body)
            assert (answer.status, answer.code) == (409, "declared_in_files"), path
            assert "gateway.yaml:" in answer.message
        made = await admin.made("/tenants/filed/keys", {"name": "new", "projects": ["docs"]})
        assert made["source"] == "api"

    on(place, work)


@pytest.mark.parametrize(
    ("body", "param", "told"),
    [
        ({"name": "x", "meters": [{"cap": "50", "window": "month"}]}, "meters[0].cap", "a cap of what?"),
        ({"name": "x", "meters": [{"cap": "$5"}]}, "meters[0]", "the key window is missing"),
        ({"name": "x", "projects": ["wob"]}, "projects[0]", 'no project "wob"; did you mean web?'),
        ({"name": "x", "expires": "soon"}, "expires", "expected a date"),
        ({"name": "x", "models": ["a b"]}, "models[0]", "expected a model's name"),
        ({"name": "x", "modles": []}, "modles", "unknown field"),
        ({"name": 5}, "name", "valid string"),
        ({}, "name", "missing"),
        ([], None, "valid dictionary"),
        (b"{", None, "not JSON"),
        (b'{"name": "x", "expires": "' + b"9" * 50 + b'"}', "expires", "expected a date"),
        (
            {"name": "x", "meters": [{"cap": "$5", "window": "day", "at": {"50%": {"downgrade": "smal"}}}]},
            "meters[0].at.50%.downgrade",
            "did you mean small?",
        ),
    ],
)
def test_a_bad_document_is_refused_with_the_words_of_the_files(
    place: Site, body: Any, param: str | None, told: str
) -> None:
    async def work(admin: Administration) -> None:
        await admin.made("/tenants/acme/projects", {"name": "web"})
        answer = await admin.ask("POST", KEYS, body)
        assert (answer.status, answer.code, answer.json["error"]["param"]) == (400, "invalid_request", param)
        assert told in answer.message

    on(place, work)


def test_a_patch_changes_what_it_names_and_null_takes_away(place: Site) -> None:
    async def work(admin: Administration) -> None:
        meters = [{"cap": "$1", "window": "month"}]
        await admin.made(KEYS, {"name": "app", "expires": "2099-06-30", "meters": meters})
        one = await admin.ask("PATCH", f"{KEYS}/app", {"models": ["small"]})
        assert (one.json["expires"], one.json["models"], one.json["meters"]) == ("2099-06-30", ["small"], meters)
        two = await admin.ask("PATCH", f"{KEYS}/app", {"expires": None})
        assert "expires" not in two.json
        assert (two.json["models"], two.json["version"], two.headers["etag"]) == (["small"], 3, '"3"')
        same = await admin.ask("PATCH", f"{KEYS}/app", {"models": ["small"]})
        assert same.json["version"] == 3

    on(place, work)


def test_a_tenant_has_a_chain_of_the_files_and_its_own_admins_cannot_take_it_from_a_key(place: Site) -> None:
    async def work(admin: Administration) -> None:
        wrong = await admin.ask("POST", "/tenants", {"name": "new", "models": ["*"], "chain": "standart"})
        assert (wrong.status, wrong.json["error"]["param"]) == (400, "chain")
        assert 'there is no chain "standart"; did you mean standard?' in wrong.message
        made = await admin.made("/tenants", {"name": "new", "models": ["*"], "chain": "standard"})
        assert made["chain"] == "standard"
        key = await admin.ask("POST", "/tenants/new/keys", {"name": "app", "chain": "standard"})
        assert (key.status, key.json["error"]["param"]) == (400, "chain")
        off = await admin.ask("PATCH", "/tenants/new", {"chain": None})
        assert "chain" not in off.json
        assert (await admin.ask("GET", "/tenants/new")).json["models"] == ["*"]

    on(place, work)


def test_an_edit_of_what_was_changed_meanwhile_is_told_both_versions(place: Site) -> None:
    async def work(admin: Administration) -> None:
        await admin.ask("PATCH", "/tenants/acme", {"models": ["small"]}, if_match='"1"')
        late = await admin.ask("PATCH", "/tenants/acme", {"models": ["large"]}, if_match='"1"')
        error = late.json["error"]
        assert (late.status, error["code"], error["yours"], error["current"]) == (409, "conflict", 1, 2)
        assert error["entry"]["models"] == ["small"]
        gone = await admin.ask("DELETE", "/tenants/acme", if_match='"1"')
        assert (gone.status, gone.code) == (409, "conflict")
        bad = await admin.ask("PATCH", "/tenants/acme", {"models": ["large"]}, if_match="one")
        assert (bad.status, bad.json["error"]["param"]) == (400, "if-match")

    on(place, work)


def test_edits_at_once_that_name_no_version_are_all_kept(place: Site) -> None:
    async def work(admin: Administration) -> None:
        await admin.made(KEYS, {"name": "app"})
        bodies = [{"models": ["small"]}, {"expires": "2099-01-01"}, {"meters": [{"cap": "$1", "window": "day"}]}]
        answers = await asyncio.gather(*(admin.ask("PATCH", f"{KEYS}/app", body) for body in bodies))
        assert [answer.status for answer in answers] == [200, 200, 200]
        found = (await admin.ask("GET", f"{KEYS}/app")).json
        assert (found["models"], found["expires"], len(found["meters"])) == (["small"], "2099-01-01", 1)

    on(place, work)


def test_a_key_is_shown_once_rotated_with_both_valid_and_revoked_for_good(place: Site) -> None:
    async def work(admin: Administration) -> None:
        made = await admin.made(KEYS, {"name": "app"})
        first = (await admin.ask("GET", "/changes")).json["items"][0]["after"]["hash"]
        rotated = await admin.made(f"{KEYS}/app/rotate", {"overlap_s": 60})
        assert made["secret"] != rotated["secret"]
        assert rotated["previous_expires"] == "2027-01-15T08:01:00Z"
        change = (await admin.ask("GET", "/changes")).json["items"][0]
        assert change["after"]["previous"]["hash"] == first
        at_once = await admin.made(f"{KEYS}/app/rotate", {"overlap_s": 0})
        assert "previous_expires" not in at_once
        gone = await admin.ask("DELETE", f"{KEYS}/app")
        assert gone.json["gone_at"]
        assert (await admin.ask("GET", f"{KEYS}/app")).status == 404
        assert (await admin.ask("POST", KEYS, {"name": "app"})).code == "name_used"
        listed = (await admin.ask("GET", f"{KEYS}?gone=true")).json["items"]
        assert [item["name"] for item in listed] == ["app"]
        kept = place.kept()
        assert hash_of(made["secret"]).encode() in kept
        for secret in (made["secret"], rotated["secret"], at_once["secret"]):
            assert secret.encode() not in kept
            assert secret.encode() not in b"".join(admin.lines)

    on(place, work)


def test_a_request_that_is_repeated_is_done_once_and_its_secret_shown_once(place: Site) -> None:
    async def work(admin: Administration) -> None:
        first = await admin.ask("POST", KEYS, {"name": "app"}, idempotency_key="k-1")
        again = await admin.ask("POST", KEYS, {"name": "app"}, idempotency_key="k-1")
        assert (again.status, again.headers["idempotent-replayed"], again.json["secret"]) == (201, "true", None)
        assert {**again.json, "secret": first.json["secret"]} == first.json
        assert again.headers["etag"] == first.headers["etag"]
        other = await admin.ask("POST", KEYS, {"name": "web"}, idempotency_key="k-1")
        assert (other.status, other.code) == (422, "idempotency_key_reused")
        at_once = [admin.ask("POST", f"{KEYS}/app/rotate", {}, idempotency_key="k-2") for _ in range(3)]
        secrets = [answer.json["secret"] for answer in await asyncio.gather(*at_once)]
        assert sum(secret is not None for secret in secrets) == 1
        bad = await admin.ask("POST", KEYS, {"name": "x"}, idempotency_key="a b")
        assert (bad.status, bad.json["error"]["param"]) == (400, "idempotency-key")

    on(place, work)


def test_what_others_need_stays(place: Site) -> None:
    async def work(admin: Administration) -> None:
        await admin.made("/tenants/acme/projects", {"name": "web"})
        await admin.made(KEYS, {"name": "app", "projects": ["web"]})
        project = await admin.ask("DELETE", "/tenants/acme/projects/web")
        assert (project.status, project.code, project.json["error"]["keys"]) == (409, "in_use", ["app"])
        tenant = await admin.ask("DELETE", "/tenants/acme")
        assert (tenant.code, tenant.json["error"]["keys"], tenant.json["error"]["projects"]) == ("in_use", 1, 1)
        assert (await admin.ask("DELETE", "/tenants/acme?all_below=true")).status == 200
        assert (await admin.ask("GET", KEYS)).status == 404
        changes = (await admin.ask("GET", "/changes?limit=3")).json["items"]
        assert [(each["action"], each["kind"]) for each in changes] == [
            ("delete", "tenant"),
            ("delete", "project"),
            ("delete", "key"),
        ]

    on(place, work)


def test_an_endpoint_is_drained_and_resumed_as_often_as_one_likes(place: Site) -> None:
    async def work(admin: Administration) -> None:
        endpoint = {"endpoint": "http://gpu-1:8000/"}
        for _ in range(2):
            assert (await admin.made("/backends/gpu/drain", endpoint))["drained"] is True
        gpu = (await admin.ask("GET", "/backends")).json["items"][0]
        assert [each["drained"] for each in gpu["endpoints"]] == [True, False]
        for _ in range(2):
            assert (await admin.made("/backends/gpu/resume", endpoint))["drained"] is False
        unknown = await admin.ask("POST", "/backends/gpu/drain", {"endpoint": "http://gpu-9:8000"})
        assert (unknown.status, "it has http://gpu-1:8000" in unknown.message) == (404, True)
        assert (await admin.ask("POST", "/backends/scripted/drain", endpoint)).status == 400
        assert (await admin.ask("POST", "/backends/nobody/drain", endpoint)).status == 404

    on(place, work)


def test_models_are_listed_and_told(place: Site) -> None:
    async def work(admin: Administration) -> None:
        page = (await admin.ask("GET", "/models?limit=1")).json
        assert ([item["alias"] for item in page["items"]], page["next"]) == (["large"], "large")
        assert (await admin.ask("GET", "/models/small")).json["backend"] == "scripted"
        assert (await admin.ask("GET", "/models/a/b/c")).status == 404

    on(place, work)


def test_snapshots_are_listed_told_and_compared(place: Site) -> None:
    async def work(admin: Administration) -> None:
        from gateway.config import archive

        (old,) = (await admin.ask("GET", "/snapshots")).json["items"]
        config = (await admin.service.declared()).config
        new = archive.write(place.folder, archive.encode(type(config)(backends=config.backends)))
        told = (await admin.ask("GET", f"/snapshots/{old['digest']}")).json
        assert (told["tenants"], told["keys"], told["models"]) == (1, 1, 2)
        diff = (await admin.ask("GET", f"/snapshots/{old['digest']}/diff/{new}")).json
        assert [(item["path"], item["change"]) for item in diff["items"]] == [
            ("models.large", "removed"),
            ("models.small", "removed"),
            ("tenants.filed", "removed"),
            ("chains.standard", "removed"),
        ]
        assert "1111" not in json.dumps(diff)
        assert (await admin.ask("GET", "/snapshots/current")).code == "unavailable"
        assert (await admin.ask("GET", f"/snapshots/{'0' * 64}")).status == 404
        assert (await admin.ask("GET", "/snapshots/..%2f..%2fsecret")).status == 404

    on(place, work)


def test_a_configuration_is_checked_and_nothing_is_changed(place: Site) -> None:
    async def work(admin: Administration) -> None:
        text = "backends: {b: {kind: fake}}\nmodels: {m: {backend: b}}\n"
        good = await admin.made("/check", {"files": {"a.yaml": text}})
        assert (good["ok"], good["problems"]) == (True, [])
        assert "tenants: there are no tenants: nobody may ask" in good["doubts"]
        bad = await admin.made("/check", {"files": {"a.yaml": "tenants: {x: {modls: []}}", "keys.jsonl": "{"}})
        assert bad["problems"][0] == "a.yaml:1: tenants.x.modls: unknown key; did you mean models?"
        none = await admin.made("/check", {"files": {}})
        assert none["problems"] == ["no configuration here (no file ends with .yaml or .yml)"]
        for name in ("../a.yaml", "a.sh", "/etc/a.yaml", "a\x00.yaml"):
            assert (await admin.ask("POST", "/check", {"files": {name: ""}})).json["error"]["param"] == "files"

    on(place, work)


def test_every_change_is_kept_with_who_what_and_why(place: Site) -> None:
    async def work(admin: Administration) -> None:
        token = await admin.token_of("bob", "admin")
        body = {"name": "app", "expires": "2099-01-01"}
        await admin.made(KEYS, body, token=token, x_lockgate_reason="ticket 12: \u00e9".encode().decode("latin-1"))
        await admin.ask("PATCH", f"{KEYS}/app", {"expires": "2099-02-02"}, token=token)
        newest, made, *_ = (await admin.ask("GET", "/changes?tenant=acme")).json["items"]
        assert (made["principal"], made["via"], made["action"], made["reason"]) == (
            *("bob", "api", "create"),
            "ticket 12: \u00e9",
        )
        assert (newest["before"]["expires"], newest["after"]["expires"]) == ("2099-01-01", "2099-02-02")
        by_root = (await admin.ask("GET", "/changes?principal=root&kind=tenant")).json["items"]
        assert [item["name"] for item in by_root] == ["acme"]
        assert (await admin.ask("GET", "/changes?since=2099-01-01")).json["items"] == []
        assert (await admin.ask("GET", "/changes?since=nonsense")).json["error"]["param"] == "since"
        whole = (await admin.ask("GET", "/changes/verify")).json
        assert (whole["whole"], whole["count"]) == (True, 4)
        cut = (await admin.ask("GET", f"/changes/verify?head=9:{'0' * 64}")).json
        assert (cut["whole"], cut["head"]) == (False, None)
        logged = admin.events("entry_put")[-1]
        assert (logged["kind"], logged["name"], logged["principal"], logged["version"]) == ("key", "app", "bob", 2)

    on(place, work)
