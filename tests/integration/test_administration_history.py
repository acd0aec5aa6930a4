"""What is found: what was in force by the beginning of a digest, what was changed by day, a path in its app."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.config import archive
from gateway.control.gates import gated
from gateway.control.routes import routers
from tests.support.administration import administration


def test_a_snapshot_is_found_by_the_beginning_of_its_digest(tmp_path: Path) -> None:
    async def run() -> None:
        async with administration(tmp_path) as admin:
            config = (await admin.service.declared()).config
            new = archive.write(tmp_path, archive.encode(type(config)(backends=config.backends)))
            found = (await admin.ask("GET", f"/snapshots/{new[:8]}/diff/{new}")).json
            assert (found["old"], found["items"]) == (new, [])
            assert (await admin.ask("GET", f"/snapshots/{new[:8]}")).json["digest"] == new
            assert (await admin.ask("GET", f"/snapshots/{new[:7]}")).status == 404, "too little to tell it by"
            (tmp_path / "snapshots" / f"{new[:8]}{'0' * 56}.msgpack").write_bytes(b"")
            several = await admin.ask("GET", f"/snapshots/{new[:8]}")
            assert (several.status, several.message) == (
                400,
                f"2 snapshots begin with {new[:8]}: write more of the digest",
            )

    asyncio.run(run())


def test_changes_are_found_by_day_and_a_day_is_its_beginning(tmp_path: Path) -> None:
    async def run() -> None:
        async with administration(tmp_path) as admin:  # whose clock says 2027-01-15T08:00:00Z
            await admin.made("/tenants", {"name": "acme", "models": ["*"]})
            counts = {
                query: len((await admin.ask("GET", f"/changes?{query}")).json["items"])
                for query in (
                    *("since=2027-01-15", "until=2027-01-15", "since=2027-01-16", "until=2027-01-16"),
                    *("since=2027-01-15T09:00:00%2b02:00", "since=0001-01-01&until=9999-12-31"),
                )
            }
            assert list(counts.values()) == [1, 0, 0, 1, 1, 1]
            for wrong in ("since=2027-01-15T09:00", "until=nonsense", "kind=keys"):
                answer = await admin.ask("GET", f"/changes?{wrong}")
                assert (answer.status, answer.json["error"]["param"]) == (400, wrong.partition("=")[0])

    asyncio.run(run())


def test_the_app_of_one_resource_has_its_routes_and_all_of_them_have_every_one(tmp_path: Path) -> None:
    async def run() -> None:
        async with administration(tmp_path) as admin:

            def paths(resource: str | None = None) -> list[str]:
                return [path for _, path, _ in gated(routers(admin.service, resource))]

            first = {path.split("/")[2] for path in paths()}
            assert len(first) == 11
            assert sorted(paths()) == sorted(path for each in first - {"whoami"} for path in paths(each))
            assert "/admin/whoami" in paths("whoami")
            assert paths("nothing") == []

    asyncio.run(run())
