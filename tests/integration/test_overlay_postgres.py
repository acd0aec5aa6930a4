"""A control store in PostgreSQL under running gateways: several share it, a lost word of a change costs a second, and
nothing that happens to the server harms a request.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.runtime import control_mirror
from tests.support.control_changes import change, gone, key_hash, made
from tests.support.control_stores import Site, own_postgres, site
from tests.support.gateway_process import GatewayProcess, minimal, serving, until
from tests.support.overlaid import asked, in_force, load, metric, more

pytestmark = pytest.mark.postgresql
SECRET = "lg-made-by-api"
TOKEN = "0123456789abcdef" * 4
KEYS = "/tenants/acme/keys"
HANG_UP = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lockgate-control'"
"""What a proxy does to connections that it finds idle."""


def configured(url: str) -> dict[str, Any]:
    control = {"bind": "127.0.0.1:0", "admin_token": "${ADMIN}"}
    return minimal(server={"workers": 2, "control": control}, stores={"control": url})


class Machine(NamedTuple):
    """One of several gateways on a store."""

    gateway: GatewayProcess
    control: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What the control listener answers."""
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.control}/admin{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    (tmp_path / "store").mkdir()
    return site("postgresql", tmp_path / "store", request)


@pytest.fixture
def machines(place: Site, tmp_path: Path) -> Iterator[list[Machine]]:
    """Two gateways on one store."""
    with ExitStack() as stack:
        found = []
        for name in ("one", "two"):
            gateway = stack.enter_context(serving(tmp_path / name, configured(place.url), environment={"ADMIN": TOKEN}))
            running = json.loads((gateway.state_dir / "run" / "gateway.json").read_bytes())
            found.append(Machine(gateway, running["control"]))
        yield found


def everywhere(machines: list[Machine], secret: str, status: int) -> None:
    """Waits until every worker of every machine gives that answer."""
    for machine in machines:
        until(lambda gateway=machine.gateway: asked(gateway, secret) == {status: 8}, f"{status} on each")  # type: ignore[misc]


def test_what_is_changed_on_two_machines_at_once_is_kept_and_in_force_on_both(machines: list[Machine]) -> None:
    one, two = machines
    first = one.ask("POST", KEYS, {"name": "shared"})["secret"]
    edits: list[Any] = [{"expires": "2099-01-01"}, {"models": ["small"]}]
    calls = [(machine, "PATCH", f"{KEYS}/shared", edit) for machine, edit in zip(machines, edits, strict=True)]
    calls += [(each, "POST", KEYS, {"name": f"k{n}-{at}"}) for n in range(10) for at, each in enumerate(machines)]
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda call: call[0].ask(*call[1:]), calls))
    shared = two.ask("GET", f"{KEYS}/shared")
    assert (shared["expires"], shared["models"], shared["version"]) == ("2099-01-01", ["small"], 3)
    for machine in machines:
        whole = machine.ask("GET", "/changes/verify")
        assert (whole["whole"], whole["count"]) == (True, 3 + 20)
    for secret in (first, answers[2]["secret"], answers[-1]["secret"]):
        everywhere(machines, secret, 200)
    one.ask("DELETE", f"{KEYS}/shared")
    everywhere(machines, first, 401)


def test_a_change_of_which_no_word_came_is_found_by_looking(place: Site, tmp_path: Path) -> None:
    assert place.server is not None
    place.server.query("CREATE SCHEMA quiet")
    place.server.query("CREATE FUNCTION quiet.pg_notify(text, text) RETURNS int LANGUAGE sql AS 'SELECT 1'")
    try:
        with serving(tmp_path, configured(place.url)) as gateway:
            quiet = f"{place.url}?search_path=quiet,pg_catalog,public"  # where ours is found before the server's own
            assert place.server.query("SET search_path = quiet, pg_catalog; SELECT pg_notify('', '')") == "1\n"
            change(gateway.state_dir, made("key", "acme", "new", hash=key_hash(SECRET)), url=quiet)
            in_force(gateway, 1)
            assert asked(gateway, SECRET) == {200: 8}
            place.server.query(HANG_UP)
            gateway.until_event("control_store_down")
            change(gateway.state_dir, gone("key", "acme", "new"), url=place.url)
            in_force(gateway, 2)
            assert asked(gateway, SECRET) == {401: 8}
            assert metric(gateway, "lockgate_control_store_up ") == 1
    finally:
        place.server.query("DROP SCHEMA quiet CASCADE")


@pytest.mark.timeout(300)  # two starts, and twice the time that a server has to answer
def test_no_request_fails_while_the_server_is_frozen_or_gone_nor_after_a_start_without_it(tmp_path: Path) -> None:
    with own_postgres(tmp_path / "store") as (place, server):
        configuration = configured(place.url)
        with serving(tmp_path, configuration, environment={"ADMIN": TOKEN}) as gateway:
            change(gateway.state_dir, made("key", "acme", "new", hash=key_hash(SECRET)), url=place.url)
            in_force(gateway, 1)
            with load(gateway, SECRET) as statuses:
                server.freeze()
                gateway.until_event("control_store_down")
                more(statuses)
                server.thaw()
                gateway.until_event("control_store_up", 2)
                server.kill()
                gateway.until_event("control_store_down", 2)
                more(statuses)
            assert set(statuses) == {200}
            until(lambda: control_mirror.read(gateway.state_dir), "the copy is written")
        with serving(tmp_path, configuration, environment={"ADMIN": TOKEN}) as gateway:
            assert [each["entries"] for each in gateway.until_event("control_store_down")][:1] == [1]
            assert asked(gateway, SECRET) == {200: 8}
            assert metric(gateway, "lockgate_control_store_up ") == 0
            server.start()
            gateway.until_event("control_store_up")
            change(gateway.state_dir, gone("key", "acme", "new"), url=place.url)
            in_force(gateway, 1)
            assert asked(gateway, SECRET) == {401: 8}
