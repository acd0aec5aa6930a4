"""Records over the administration: pages of the newest, filters, and those of another tenant kept apart."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.store import manifest
from gateway.store.content_read import contents
from tests.support.administration import administration
from tests.support.contents import a_content, a_content_journal, a_state_dir, moved
from tests.support.journals import STARTED_NS, a_journal, a_record
from tests.support.ledgers import update


def test_records_are_paged_from_the_newest_over_table_and_journals(tmp_path: Path) -> None:
    async def run() -> None:
        async with administration(tmp_path) as admin:
            journal = a_journal(tmp_path)
            for number in range(7):
                if number == 5:
                    update(tmp_path)
                started_ns = STARTED_NS + number // 2  # two at a time
                journal.add(a_record(f"req_{number}", started_ns=started_ns, status=200 + number, charge_nanos=number))
            found, after = [], ""
            while after is not None:
                page = (await admin.ask("GET", f"/records?limit=3&after={after}")).json
                found += [item["id"] for item in page["items"]]
                after = page["next"]
            assert found == [f"req_{number}" for number in reversed(range(7))]
            for query, wanted in (
                ("status=203", ["req_3"]),
                ("min_cost_usd=0.000000006", ["req_6"]),
                ("tenant=other", []),
                ("since=2027-01-16", []),
                ("until=2027-01-16&status=206", ["req_6"]),
            ):
                assert [item["id"] for item in (await admin.ask("GET", f"/records?{query}")).json["items"]] == wanted
            for wrong in ("after=x", "after=:", "since=yesterday", "status=x", "min_cost_usd=-1"):
                answer = await admin.ask("GET", f"/records?{wrong}")
                assert (answer.status, answer.json["error"]["param"]) == (400, wrong.partition("=")[0])
            journal.stop()

    asyncio.run(run())


def test_one_record_is_shown_with_every_column_under_the_names_of_the_table(tmp_path: Path) -> None:
    async def run() -> None:
        async with administration(tmp_path) as admin:
            journal = a_journal(tmp_path)
            journal.add(a_record(readings=[("tenant:acme|usd", 1, 2)]))
            shown = (await admin.ask("GET", "/records/req_1")).json
            assert (shown["started"], shown["model"], shown["charge_usd_nanos"]) == (
                "2027-01-15T08:00:00.123Z",
                "small",
                None,
            )
            assert shown["attempts"][0]["endpoint"] == "http://vllm-0:8000"
            assert shown["readings"] == [{"meter": "tenant:acme|usd", "used": 1, "cap": 2}]
            assert (await admin.ask("GET", "/records/req_9")).status == 404
            journal.stop()

    asyncio.run(run())


def test_who_may_see_one_tenant_sees_its_records_and_no_other(tmp_path: Path) -> None:
    async def run() -> None:
        async with administration(tmp_path) as admin:
            journal = a_journal(tmp_path)
            for name in ("acme", "globex", ""):
                journal.add(a_record(f"req_{name}", tenant=name))
            journal.stop()
            made = {"name": "ada", "subject": "", "roles": [{"role": "viewer", "tenant": "acme"}]}
            token = (await admin.made("/principals", made))["token"]
            page = await admin.ask("GET", "/records", token=token)
            assert [item["id"] for item in page.json["items"]] == ["req_acme"]
            assert (await admin.ask("GET", "/records?tenant=globex", token=token)).json["items"] == []
            assert (await admin.ask("GET", "/records/req_acme", token=token)).status == 200
            assert (await admin.ask("GET", "/records/req_globex", token=token)).status == 404
            assert (await admin.ask("GET", "/records/req_", token=token)).status == 404

    asyncio.run(run())


def test_a_table_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        async with administration(tmp_path) as admin:
            manifest.folder(tmp_path).mkdir()
            (manifest.folder(tmp_path) / "manifest.json").write_text("?")
            answer = await admin.ask("GET", "/records")
            assert (answer.status, "manifest.json cannot be read" in answer.message) == (503, True)

    asyncio.run(run())


def test_a_tenant_made_by_api_may_have_what_it_says_kept(tmp_path: Path) -> None:
    async def run() -> None:
        async with administration(tmp_path) as admin:
            made = {"name": "globex", "models": ["*"], "content": {"record": "masked"}}
            answer = await admin.ask("POST", "/tenants", made)
            assert answer.status == 400
            assert "this tenant has no chain" in answer.json["error"]["message"]
            policy = {"record": "full", "retention_days": 7}
            shown = await admin.made("/tenants", made | {"content": policy})
            assert shown["content"]["record"] == "full"
            assert (await admin.ask("GET", "/tenants/globex")).json["content"]["retention_days"] == 7
            answer = await admin.ask("PATCH", "/tenants/globex", {"content": {"record": "full", "key": "in-the-clear"}})
            assert "write ${NAME}" in answer.json["error"]["message"]
            answer = await admin.ask("PATCH", "/tenants/globex", {"content": None})
            assert (answer.status, "content" in answer.json) == (200, False)

    asyncio.run(run())


def test_erasing_what_was_said_is_logged_leaves_the_records_and_is_for_admins_of_the_tenant(tmp_path: Path) -> None:
    async def run() -> None:
        async with administration(a_state_dir(tmp_path)) as admin:
            journal, said = a_journal(tmp_path), a_content_journal(tmp_path)
            for number, end_user in enumerate(("joe", "joe", "a n\0n", "")):
                started_ns = STARTED_NS - 10**18  # before the erasure, by the machine's clock
                journal.add(a_record(f"req_{number}", end_user=end_user, started_ns=started_ns))
                said.keep(a_content(f"req_{number}", end_user=end_user, started_ns=started_ns))
            journal.stop()
            said.stop()
            moved(tmp_path)
            ids = [f"req_{number}" for number in range(4)]
            one = await admin.made("/tenants/acme/erasures", {"end_user": "joe"})
            assert (one["keys"], one["end_user"]) == (1, "joe")
            assert sorted(contents(tmp_path, ids, {})) == ["req_2", "req_3"]
            assert (await admin.made("/tenants/acme/erasures", {"end_user": "a n\0n"}))["keys"] == 1
            assert (await admin.made("/tenants/acme/erasures", {}))["keys"] == 1
            assert (await admin.made("/tenants/acme/erasures", {}))["keys"] == 0
            assert contents(tmp_path, ids, {}) == {}
            assert len((await admin.ask("GET", "/records")).json["items"]) == 4
            log = (await admin.ask("GET", "/changes?kind=erasure")).json["items"]
            assert [each["name"] for each in log] == ["acme", "acme", "acme a%20n%00n", "acme joe"]
            assert (await admin.ask("GET", "/changes/verify")).json["whole"]
            roles = [{"role": "viewer"}, {"role": "admin", "tenant": "globex"}]
            token = (await admin.made("/principals", {"name": "ada", "subject": "", "roles": roles}))["token"]
            assert (await admin.ask("POST", "/tenants/acme/erasures", {}, token=token)).status == 403
            assert (await admin.ask("POST", "/tenants/globex/erasures", {}, token=token)).status == 200
            assert (await admin.ask("POST", "/tenants/a%20b/erasures", {})).status == 404

    asyncio.run(run())


def test_what_was_said_before_the_clock_was_set_back_is_erased_too(tmp_path: Path) -> None:
    """The keeper has not moved it, so it has no key of its own yet: only the time tells that it is meant."""

    async def run() -> None:
        async with administration(a_state_dir(tmp_path)) as admin:
            said = a_content_journal(tmp_path)
            ahead_ns = 4_000_000_000 * 10**9
            said.keep(a_content("req_1", started_ns=ahead_ns))
            said.keep(a_content("req_2", started_ns=ahead_ns, end_user="ann"))
            made = await admin.made("/tenants/acme/erasures", {"end_user": "joe"})
            assert made["erased_at"].startswith("2096-10-02")
            assert list(contents(tmp_path, ["req_1", "req_2"], {})) == ["req_2"]
            said.keep(a_content("req_3", started_ns=ahead_ns + 1))
            said.stop()
            moved(tmp_path)
            assert sorted(contents(tmp_path, ["req_1", "req_2", "req_3"], {})) == ["req_2", "req_3"]

    asyncio.run(run())
