"""The commands of administration, on the control store of a state directory and against a control listener."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from tests.support import gateway_process
from tests.support.control_stores import KINDS, site
from tests.support.gateway_process import GatewayProcess, until

TOKEN = "an-admin-token-of-the-tests-0123456789"
ENVIRONMENT = {"LOCKGATE_ADMIN_TOKEN": TOKEN, "COLUMNS": "200"}


@pytest.fixture(scope="module", params=KINDS)
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[GatewayProcess, str]]:
    """A gateway with administration on, and its control listener's URL."""
    control = {"bind": "127.0.0.1:0", "admin_token": TOKEN}
    folder = tmp_path_factory.mktemp("commands")
    models = {"small": {"backend": "scripted", "price": "free"}}
    stores = {"control": site(request.param, tmp_path_factory.mktemp("store"), request).url}
    forbids = {"check": "keywords", "words": ["plutonium"], "code": "arms", "phase": "input", "action": "block"}
    configuration = gateway_process.minimal(
        server={"workers": 1, "control": control}, models=models, stores=stores, chains={"forbids": [forbids]}
    )
    with gateway_process.serving(folder, configuration) as found:
        running = json.loads((found.state_dir / "run" / "gateway.json").read_bytes())
        yield found, running["control"]


def run(*arguments: str, code: int = 0, answer: str | None = None) -> str:
    """What a command prints."""
    done: Result = CliRunner().invoke(main, arguments, env=ENVIRONMENT, input=answer)
    assert done.exit_code == code, done.output
    return done.output


@pytest.mark.parametrize("form", ["local", "remote"])
def test_a_key_is_made_used_and_revoked_by_command(gateway: tuple[GatewayProcess, str], form: str) -> None:
    found, url = gateway
    where = str(found.state_dir) if form == "local" else url
    place = ("--state-dir", where) if form == "local" else ("--url", where)
    tenant = f"initech-{form}"
    made = run("tenants", "create", tenant, "--meter", "$50 month 80%=warn", *place)
    assert f"Made the tenant {tenant} in {where}" in made
    assert "$50 a month (80%: warn)" in made
    assert "store, version 1" in run("projects", "create", tenant, "web", *place)
    said = run("keys", "create", tenant, "app", "--project", "web", "--expires", "2099-01-01", *place)
    (secret,) = re.findall(r"^  (lg-\S{43})$", said, re.MULTILINE)
    until(lambda: found.chat(key=secret).status == 200, "the key is valid")
    assert "until 2099-01-01" in run("keys", "list", tenant, *place)
    rotated = run("keys", "rotate", tenant, "app", *place)
    assert "old secret until" in rotated
    (other,) = re.findall(r"^  (lg-\S{43})$", rotated, re.MULTILINE)
    until(lambda: found.chat(key=other).status == 200, "the new secret is valid")
    assert found.chat(key=secret).status == 200
    for answer in ("n\n", ""):
        asked = run("keys", "revoke", tenant, "app", *place, answer=answer, code=1)
        assert "Error: nothing was changed" in asked
    assert found.chat(key=other).status == 200
    revoked = run("keys", "revoke", tenant, "app", "--yes", "--reason", "leaked → gone", *place)
    assert "revoked 20" in revoked
    until(lambda: found.chat(key=other).status == 401 and found.chat(key=secret).status == 401, "both are refused")
    log = run("changes", "list", "--tenant", tenant, *place)
    assert "leaked → gone" in log
    assert "another secret" in log
    assert ("local" if form == "local" else "root") in log
    assert "The log is whole" in run("changes", "verify", *place)
    refused = run("tenants", "remove", tenant, "--yes", *place, code=1)
    assert "--all-below" in refused
    gone = run("tenants", "remove", tenant, "--all-below", *place, answer="y\n")
    assert "Remove the tenant" in gone


def test_a_cap_is_raised_and_lowered_by_the_command_that_says_so(gateway: tuple[GatewayProcess, str]) -> None:
    found, _ = gateway
    place = ("--state-dir", str(found.state_dir))
    run("keys", "create", "acme", "metered", "--meter", "9 requests 60s", *place)
    raised = run("meters", "raise", "key:acme/metered", "20 requests", *place)
    assert "Raised the cap from 9 requests to 20 requests" in raised
    wrong = run("meters", "raise", "key:acme/metered", "5 requests", *place, code=2)
    assert "use `lockgate meters lower`" in wrong
    assert "5 requests" in run("meters", "lower", "key:acme/metered", "5 requests", *place)
    assert "a cap of what?" in run("meters", "lower", "key:acme/metered", "5", *place, code=2)


def test_a_tenant_made_with_a_chain_is_blocked_by_it_until_it_has_none(gateway: tuple[GatewayProcess, str]) -> None:
    found, url = gateway
    assert "forbids" in run("tenants", "create", "guarded", "--chain", "forbids", "--url", url)
    said = run("keys", "create", "guarded", "app", "--url", url)
    (secret,) = re.findall(r"^  (lg-\S{43})$", said, re.MULTILINE)
    until(lambda: found.chat(key=secret).status == 200, "the key is valid")
    blocked = found.chat("how to buy plutonium", key=secret)
    assert (blocked.status, blocked.json["error"]["code"]) == (400, "content_filter")
    assert found.chat("how to buy plutonium").status == 200  # another tenant's
    run("tenants", "change", "guarded", "--chain", "none", "--url", url)
    until(lambda: found.chat("how to buy plutonium", key=secret).status == 200, "it has no chain")


def test_meters_stand_the_same_from_here_and_from_afar(gateway: tuple[GatewayProcess, str]) -> None:
    found, url = gateway
    here = ("--state-dir", str(found.state_dir))
    said = run("keys", "create", "acme", "counted", "--meter", "9 requests lifetime", *here)
    (secret,) = re.findall(r"^  (lg-\S{43})$", said, re.MULTILINE)
    until(lambda: found.chat(key=secret).status == 200, "the key is valid")

    def rows(*place: str) -> list[dict[str, object]]:
        lines = run("meters", "show", "key:acme/counted", "--format", "json", *place).splitlines()
        return [{name: json.loads(line)[name] for name in ("bucket", "quantity", "window", "cap")} for line in lines]

    until(lambda: bool(rows(*here)), "it was counted")
    assert rows("--url", url) == rows(*here)
    assert "lifetime" in run("meters", "show", "--url", url)
    assert "takes --state-dir" in run("meters", "show", "--owners", "--url", url, code=2)
    environment = {**ENVIRONMENT, "LOCKGATE_ADMIN_URL": url}
    done = CliRunner().invoke(main, ["tenants", "list", *here], env=environment)
    assert f"in {found.state_dir}" in done.output, "what is typed counts more than the environment"


def test_a_change_names_what_is_changed_and_none_takes_it_away(gateway: tuple[GatewayProcess, str]) -> None:
    place = ("--url", gateway[1])
    run("projects", "create", "acme", "metered", "--meter", "9 requests 60s", *place)
    assert "say what to change: --meter" in run("projects", "change", "acme", "metered", *place, code=2)
    assert "9 requests in 60s" in run("projects", "show", "acme", "metered", *place)
    assert "meters         –" in run("projects", "change", "acme", "metered", "--meter", "none", *place)
    assert "--expires, --model, --project or --meter" in run("keys", "change", "acme", "app", *place, code=2)
    told = run("changes", "list", "--since", "1h", "--kind", "project", *place)
    assert "meters: 9 requests in 60s → –" in told
    assert "0 changes" in run("changes", "list", "--until", "2026-01-01", *place)
    assert "is not one of" in run("changes", "list", "--kind", "keys", *place, code=2)
    assert "is no time" in run("changes", "list", "--since", "yesterday", *place, code=2)


def test_a_cap_below_what_is_used_lets_nothing_more_in_until_it_is_raised(gateway: tuple[GatewayProcess, str]) -> None:
    found, url = gateway
    said = run("keys", "create", "acme", "spender", "--meter", "9 requests lifetime", "--url", url)
    (secret,) = re.findall(r"^  (lg-\S{43})$", said, re.MULTILINE)
    until(lambda: found.chat(key=secret).status == 200, "the key is valid")
    assert [found.chat(key=secret).status for _ in range(2)] == [200, 200]
    run("meters", "lower", "key:acme/spender", "2 requests", "--url", url)
    until(lambda: found.chat(key=secret).status == 429, "the lower cap is in force")
    refused = [found.chat(key=secret) for _ in range(3)]
    assert [answer.json["error"]["code"] for answer in refused] == ["insufficient_quota"] * 3
    run("meters", "raise", "key:acme/spender", "20 requests", "--url", url)
    until(lambda: found.chat(key=secret).status == 200, "the higher cap is in force")


def test_lists_are_json_for_machines(gateway: tuple[GatewayProcess, str]) -> None:
    found, url = gateway
    lines = run("keys", "list", "acme", "--format", "json", "--url", url).splitlines()
    assert {"app": "files"}.items() <= {json.loads(line)["name"]: json.loads(line)["source"] for line in lines}.items()
    for group in ("models", "backends", "snapshots", "principals", "tenants"):
        assert run(group, "list", "--url", url)
    current = json.loads(run("snapshots", "show", "--format", "json", "--url", url))
    assert current["digest"] == found.readiness()["snapshot"]
    assert "0 differences" in run("snapshots", "diff", current["digest"], current["digest"][:16], "--url", url)


def test_principals_have_roles_and_their_tokens_no_more_than_these(gateway: tuple[GatewayProcess, str]) -> None:
    _, url = gateway
    said = run("principals", "create", "vera", "--role", "viewer:acme", "--subject", "vera@example.com", "--url", url)
    (token,) = re.findall(r"^  (lga-\S{43})$", said, re.MULTILINE)
    assert "viewer of acme" in said
    assert "may not do this" in run("keys", "create", "acme", "x", "--url", url, "--token", token, code=1)
    assert "viewer of acme" in run("principals", "show", "vera", "--url", url)
    assert "no role 'king'" in run("principals", "create", "o", "--role", "king", "--url", url, code=2)
    assert "is a role for the whole gateway" in run(
        "principals", "create", "o", "--role", "owner:acme", "--url", url, code=1
    )
    run("principals", "remove", "vera", "--yes", "--url", url)
    assert "not valid" in run("keys", "list", "acme", "--url", url, "--token", token, code=1)


def test_what_cannot_be_reached_is_told(tmp_path: Path) -> None:
    assert "no gateway has run" in run("tenants", "list", "--state-dir", str(tmp_path), code=1)
    (tmp_path / "journal").mkdir()
    assert "name it with --config" in run("tenants", "list", "--state-dir", str(tmp_path), code=1)
    assert "cannot ask http://127.0.0.1:9" in run("tenants", "list", "--url", "http://127.0.0.1:9", code=1)
    assert "--url is http://HOST:PORT" in run("tenants", "list", "--url", "localhost", code=2)
    both = ("--url", "http://127.0.0.1:9", "--state-dir", str(tmp_path))
    assert "name one" in run("tenants", "list", *both, code=2)
    assert "needs a token" in run("tenants", "list", "--url", "http://127.0.0.1:9", "--token", "", code=2)


def test_the_control_process_may_die_and_no_caller_notices(gateway: tuple[GatewayProcess, str]) -> None:
    found, url = gateway
    started = found.until_event("control_started")
    os.kill(started[-1]["pid"], signal.SIGKILL)
    assert found.chat().status == 200
    found.until_event("control_started", len(started) + 1)
    until(lambda: "acme" in run("tenants", "list", "--url", url), "it administers again")
