"""Traces over the administration: pages of the newest, trees, and those of another tenant kept apart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from gateway.store import manifest
from gateway.store.span_spool import Spool
from tests.support.administration import administration
from tests.support.agent_spans import SENDER, TRACE, a_span, as_json
from tests.support.journals import STARTED_NS, a_journal, a_record

SINCE = "since=2027-01-01"


def told(state_dir: Path, tenants: tuple[str, ...] = ("acme",), traces: tuple[str, ...] = (TRACE,)) -> None:
    spool = Spool(state_dir, 0)
    for at, trace in enumerate(traces):
        for number, tenant in enumerate(tenants):
            sender = msgspec.structs.replace(SENDER, tenant=tenant, request=f"req_{trace[:16]}{at:07x}{number:07x}")
            spool.keep(sender, "json", as_json([a_span("a" * 16, name="trip", trace=trace, start=at)]))


def test_traces_are_paged_from_the_newest(tmp_path: Path) -> None:
    async def run() -> None:
        async with administration(tmp_path) as admin:
            names = tuple(f"{number + 1:032x}" for number in range(7))
            told(tmp_path, traces=names)
            found, after = [], ""
            while after is not None:
                page = (await admin.ask("GET", f"/traces?{SINCE}&limit=3&after={after}")).json
                found += [item["trace"] for item in page["items"]]
                after = page["next"]
            assert found == list(reversed(names))
            assert (await admin.ask("GET", f"/traces?{SINCE}&tenant=other")).json["items"] == []
            assert (await admin.ask("GET", f"/traces?{SINCE}&until=2027-01-02")).json["items"] == []
            for wrong in ("after=x", "since=yesterday", "limit=0"):
                answer = await admin.ask("GET", f"/traces?{wrong}")
                assert (answer.status, answer.json["error"]["param"]) == (400, wrong.partition("=")[0])

    asyncio.run(run())


def test_one_trace_is_shown_as_a_tree(tmp_path: Path) -> None:
    async def run() -> None:
        async with administration(tmp_path) as admin:
            told(tmp_path)
            journal = a_journal(tmp_path)
            journal.add(a_record(traceparent=f"00-{TRACE}-{'a' * 16}-01", started_ns=STARTED_NS))
            journal.stop()
            shown = (await admin.ask("GET", f"/traces/{TRACE}")).json
            assert [(span["source"], span["depth"]) for span in shown["spans"][:2]] == [("agent", 0), ("gateway", 1)]
            assert (shown["tenant"], shown["requests"], shown["agent_spans"]) == ("acme", 1, 1)
            assert (await admin.ask("GET", f"/traces/{'9' * 32}")).status == 404
            assert (await admin.ask("GET", "/traces/req_1")).status == 400

    asyncio.run(run())


def test_who_may_see_one_tenant_sees_its_traces_and_no_other(tmp_path: Path) -> None:
    async def run() -> None:
        async with administration(tmp_path) as admin:
            told(tmp_path, ("acme", "globex"))
            told(tmp_path, ("globex",), ("8" * 32,))
            made = {"name": "ada", "subject": "", "roles": [{"role": "viewer", "tenant": "acme"}]}
            token = (await admin.made("/principals", made))["token"]
            items = (await admin.ask("GET", f"/traces?{SINCE}", token=token)).json["items"]
            assert [(item["tenant"], item["trace"]) for item in items] == [("acme", TRACE)]
            assert (await admin.ask("GET", f"/traces?{SINCE}&tenant=globex", token=token)).json["items"] == []
            assert (await admin.ask("GET", f"/traces/{TRACE}", token=token)).json["tenant"] == "acme"
            for other in (f"/traces/{TRACE}?tenant=globex", f"/traces/{'8' * 32}"):
                assert (await admin.ask("GET", other, token=token)).status == 404
            both = await admin.ask("GET", f"/traces/{TRACE}")
            assert (both.status, both.json["error"]["param"]) == (400, "tenant")
            assert (await admin.ask("GET", f"/traces/{TRACE}?tenant=globex")).json["tenant"] == "globex"

    asyncio.run(run())


def test_tables_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    async def run() -> None:
        async with administration(tmp_path) as admin:
            manifest.folder(tmp_path).mkdir()
            (manifest.folder(tmp_path) / "manifest.json").write_text("?")
            for path in ("/traces", f"/traces/{TRACE}"):
                answer = await admin.ask("GET", path)
                assert (answer.status, "manifest.json cannot be read" in answer.message) == (503, True)

    asyncio.run(run())
