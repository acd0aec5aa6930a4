"""The OpenAPI document against what the administration does: Schemathesis makes requests of it, good ones and bad ones;
none is answered with an error of ours, and every answer is as the document says. The page that shows it needs nothing
from elsewhere."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from schemathesis import GenerationMode

from gateway.control import app, manual_page
from tests.support.administration import ROOT_TOKEN, Administration, administration, quoted
from tests.support.control_stores import KINDS, site

EXAMPLES = {"sqlite": 12, "postgresql": 4}
"""For each of some forty routes, by the kind of store: what is refused before it is asked is the same on both."""

Place = tuple[str, asyncio.Runner, Administration]
"""The kind of store, a loop, and on it an administration over that store with a little of everything."""


@pytest.fixture(scope="module", params=KINDS)
def admin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = site(request.param, tmp_path_factory.mktemp("openapi"), request)
    with asyncio.Runner() as runner:
        context = administration(place.folder, url=place.url)
        found = runner.run(context.__aenter__())
        runner.run(_fill(found))
        yield place.kind, runner, found
        runner.run(context.__aexit__(None, None, None))


async def _fill(found: Administration) -> None:
    await found.made("/tenants", {"name": "acme", "models": ["*"], "meters": [{"cap": "$9", "window": "month"}]})
    await found.made("/tenants/acme/projects", {"name": "web"})
    await found.made("/tenants/acme/keys", {"name": "app", "projects": ["web"]})
    await found.made("/principals", {"name": "bob", "roles": [{"role": "owner"}]})


def _operations() -> list[tuple[str, str]]:
    nobody: Any = None
    paths = app.routed(nobody).openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


@pytest.mark.parametrize(("method", "path"), _operations())
def test_every_answer_is_as_the_document_says_and_none_is_an_error_of_ours(
    admin: Place, method: str, path: str
) -> None:
    kind, runner, found = admin
    document = app.routed(found.service).openapi()
    operation = schemathesis.openapi.from_dict(document)[path][method]
    known = {"tenant": "acme", "project": "web", "key": "app", "principal": "bob", "backend": "gpu"}

    @settings(
        max_examples=EXAMPLES[kind],
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(data=st.data())
    def asked(data: st.DataObject) -> None:
        mode = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        there = data.draw(st.booleans())
        target = path.removeprefix("/admin")
        for name, value in (case.path_parameters or {}).items():
            chosen = known[name] if there and name in known else str(value)
            target = target.replace(f"{{{name}}}", quoted(chosen.encode("utf-8", "replace").decode()))
        body = None if isinstance(case.body, schemathesis.core.NotSet) else case.body
        query = "&".join(
            f"{quoted(str(name))}={quoted(str(value).encode('utf-8', 'replace').decode())}"
            for name, value in (case.query or {}).items()
        )
        headers = {
            name.replace("-", "_"): value
            for name, value in (case.headers or {}).items()
            if isinstance(value, str) and value.isascii() and value.isprintable() and name.lower() in _OURS
        }
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = runner.run(found.ask(method, f"{target}?{query}" if query else target, raw, **headers))
        responses = document["paths"][path][method.lower()]["responses"]
        assert answer.status < 500 or (answer.status == 503 and "current" in path), answer
        assert str(answer.status) in responses, f"{answer.status} is not told"
        schema = responses[str(answer.status)]["content"]["application/json"]["schema"]
        whole = {**schema, "components": document["components"]}
        Draft202012Validator(whole).validate(answer.json)

    asked()


_OURS = ("if-match", "idempotency-key", "x-lockgate-reason")


def test_the_page_shows_every_route_and_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    async def run() -> None:
        async with administration(tmp_path) as found:
            page = (await found.ask("GET", "/docs", token=None)).json.decode()
            document = (await found.ask("GET", "/openapi.json", token=None)).json
            assert document["openapi"].startswith("3.1")
            for path in document["paths"]:
                assert f"<code>{path}</code>" in page
            assert not re.findall(r"<script|<link|<img|https?://(?!HOST|gpu)", page)
            assert ROOT_TOKEN not in page

    asyncio.run(run())


def test_every_request_has_a_summary_the_role_it_takes_and_examples_that_are_true() -> None:
    nobody: Any = None
    document = app.routed(nobody).openapi()
    assert set(document["components"]["schemas"]["FaultAnswer"]["example"]["error"]) == {"code", "message", "param"}
    told = {tag["name"] for tag in document["tags"]}
    names = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            names.append(operation["operationId"])
            assert set(operation["tags"]) <= told
            assert operation["summary"]
            assert operation["description"].endswith(f"Role: {operation['x-lockgate-role']}.")
            assert all(each.get("description") or each["in"] == "query" for each in operation["parameters"])
            for holder in (operation.get("requestBody"), *operation["responses"].values()):
                if holder is not None:
                    media = holder["content"]["application/json"]
                    whole = {**media["schema"], "components": document["components"]}
                    problems = list(Draft202012Validator(whole).iter_errors(media["example"]))
                    assert not problems, f"{method} {path}: {problems}"
    assert len(names) == len(set(names)) > 30
    roles = {name: document["paths"][name]["get"]["x-lockgate-role"] for name in ("/admin/principals", "/admin/models")}
    assert roles == {"/admin/principals": "owner", "/admin/models": "viewer"}
    page = manual_page.page(document)
    for part in ("admin of the tenant", "meters[].cap", "last_owner", "idempotency-key (header)", "&quot;next&quot;"):
        assert part in page
