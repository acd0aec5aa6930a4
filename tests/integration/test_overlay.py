"""What is made by API, in a running gateway: it is in force on every worker, and nothing that happens to the store or
to the control process harms a request.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
from pathlib import Path

from gateway.config import archive
from gateway.runtime import control_mirror
from tests.support.control_changes import change, gone, key_hash, made
from tests.support.gateway_process import KEY, launch, lives, minimal, serving, until, write
from tests.support.overlaid import asked, in_force, load, metric, more

SECRET = "lg-made-by-api"
OTHER = "lg-made-by-api-too"
TOKEN = {"ADMIN": "0123456789abcdef" * 4}
TWO = minimal(server={"workers": 2})


def test_a_key_opens_from_when_it_is_made_until_it_is_revoked(tmp_path: Path) -> None:
    with serving(tmp_path, TWO) as gateway:
        assert asked(gateway, SECRET) == {401: 8}
        change(gateway.state_dir, made("key", "acme", "new", hash=key_hash(SECRET)))
        in_force(gateway, 1)
        assert asked(gateway, SECRET) == {200: 8}
        assert asked(gateway, KEY) == {200: 8}
        assert metric(gateway, "lockgate_control_entries ") == 1
        change(gateway.state_dir, gone("key", "acme", "new"))
        in_force(gateway, 2)
        assert asked(gateway, SECRET) == {401: 8}
        assert [each.base is None for each in archive.history(gateway.state_dir)] == [False, False, True]
        assert gateway.readiness()["stale"] == []


def test_a_tenant_made_by_api_has_its_own_models_and_survives_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path, TWO) as gateway:
        change(
            gateway.state_dir,
            made("tenant", "", "globex", models=["other"]),
            made("key", "globex", "app", hash=key_hash(SECRET)),
            made("key", "acme", "narrow", hash=key_hash(OTHER), models=["nothing"]),
        )
        in_force(gateway, 1)
        assert asked(gateway, SECRET, model="small") == {404: 8}
        assert asked(gateway, OTHER, model="small") == {404: 8}
        os.kill(gateway.worker_pids()[0], signal.SIGKILL)  # its successor reads the patch from the archive
        gateway.until_event("worker_ready", 3)
        assert asked(gateway, SECRET, model="small") == {404: 8}
    assert gateway.events("job_bug") == gateway.events("control_store_down") == []  # not as it ends either
    with serving(tmp_path, TWO) as gateway:
        assert asked(gateway, SECRET, model="small") == {404: 8}


def test_no_worker_admits_a_revoked_key_under_load(tmp_path: Path) -> None:
    with serving(tmp_path, minimal(server={"workers": 4})) as gateway:
        change(gateway.state_dir, made("key", "acme", "new", hash=key_hash(SECRET)))
        in_force(gateway, 1)
        with load(gateway, KEY) as others, load(gateway, SECRET) as statuses:
            assert set(more(statuses)) == {200}
            change(gateway.state_dir, gone("key", "acme", "new"))
            in_force(gateway, 2)
            assert set(more(statuses)) == {401}
            assert set(more(others)) == {200}
        assert set(others) == {200}


def test_no_request_fails_while_the_store_is_locked_or_removed(tmp_path: Path) -> None:
    with serving(tmp_path, TWO) as gateway:
        change(gateway.state_dir, made("key", "acme", "new", hash=key_hash(SECRET)))
        in_force(gateway, 1)
        database = gateway.state_dir / "control.sqlite"
        with load(gateway, SECRET) as statuses:
            with contextlib.closing(sqlite3.connect(database)) as connection:
                connection.execute("BEGIN EXCLUSIVE")
                more(statuses)
            for path in gateway.state_dir.glob("control.sqlite*"):
                path.unlink()
            more(statuses)
        assert set(statuses) == {200}


def test_without_its_store_a_gateway_starts_with_what_it_knew(tmp_path: Path) -> None:
    with serving(tmp_path, TWO) as gateway:
        change(gateway.state_dir, made("key", "acme", "new", hash=key_hash(SECRET)))
        in_force(gateway, 1)
        until(lambda: control_mirror.read(gateway.state_dir), "the copy is written")
        state_dir = gateway.state_dir
    for path in state_dir.glob("control.sqlite*"):
        path.unlink()
    (state_dir / "control.sqlite").write_bytes(b"this is no database" * 1000)
    with serving(tmp_path, TWO) as gateway:
        (down, *_) = gateway.until_event("control_store_down")
        assert (down["level"], down["entries"]) == ("warning", 1)
        assert asked(gateway, SECRET) == {200: 8}
        assert metric(gateway, "lockgate_control_store_up ") == 0


def test_without_its_store_and_without_a_copy_a_gateway_does_not_start(tmp_path: Path) -> None:
    write(tmp_path / "config", minimal())
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "control.sqlite").write_bytes(b"this is no database" * 1000)
    gateway = launch(tmp_path / "config", tmp_path / "state")
    assert gateway.wait() == 1
    assert "stores.control" in gateway.logged()
    assert "nothing of it is known from before" in gateway.logged()
    assert gateway.process.stdout is not None
    gateway.process.stdout.close()


def test_files_that_declare_what_was_made_by_api_are_refused_and_both_places_named(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        change(gateway.state_dir, made("key", "acme", "new", hash=key_hash(SECRET)))
        in_force(gateway, 1)
        tenants = minimal()["tenants"]
        tenants["acme"]["keys"]["new"] = {"hash": key_hash(OTHER)}
        write(gateway.folder, minimal(tenants=tenants))
        gateway.signal(signal.SIGHUP)
        (failed, *_) = gateway.until_event("config_reload_failed")
        assert "control store (created by tester at " in failed["error"]
        assert "gateway.yaml:1" in failed["error"]
        assert asked(gateway, SECRET) == {200: 8}
        change(gateway.state_dir, gone("key", "acme", "new"))  # what is made by API does not wait for the files
        in_force(gateway, 2)
        assert asked(gateway, SECRET) == {401: 8}
        assert metric(gateway, "lockgate_config_last_reload_ok ") == 0
        gateway.signal(signal.SIGHUP)
        gateway.until_event("config_reloaded")
        assert asked(gateway, OTHER) == {200: 8}
        assert metric(gateway, "lockgate_config_last_reload_ok ") == 1


def test_an_entry_that_cannot_be_is_told_and_keeps_nobody_out(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        change(
            gateway.state_dir,
            made("key", "acme", "app", hash=key_hash(OTHER)),
            made("key", "acme", "new", hash=key_hash(SECRET)),
        )
        in_force(gateway, 1)
        (refused,) = gateway.events("entry_refused")
        assert refused["entry"] == "key acme app"
        assert asked(gateway, SECRET) == {200: 8}
        assert asked(gateway, OTHER) == {401: 8}
        assert metric(gateway, "lockgate_control_entries_refused ") == 1


def test_the_control_process_is_started_again_and_no_request_depends_on_it(tmp_path: Path) -> None:
    configuration = minimal(server={"workers": 1, "control": {"bind": "127.0.0.1:0", "admin_token": "${ADMIN}"}})
    with serving(tmp_path, configuration, environment=TOKEN) as gateway, load(gateway, KEY) as statuses:
        (first, *_) = gateway.until_event("control_started")
        assert TOKEN["ADMIN"] not in gateway.logged()
        with contextlib.suppress(ProcessLookupError):
            os.kill(first["pid"], signal.SIGSTOP)
        more(statuses)
        with contextlib.suppress(ProcessLookupError):
            os.kill(first["pid"], signal.SIGKILL)
        (_, second, *_) = gateway.until_event("control_started", 2)
        more(statuses)
    assert set(statuses) == {200}
    until(lambda: not lives(second["pid"]), "it ends with the gateway")


def test_without_an_admin_token_there_is_no_control_process(tmp_path: Path) -> None:
    configuration = minimal(server={"workers": 1, "control": {"bind": "127.0.0.1:0", "admin_token": "${ADMIN}"}})
    with serving(tmp_path, configuration) as gateway:
        (off,) = gateway.until_event("control_off")
        assert off["reason"] == "there is no admin token"
        assert metric(gateway, "lockgate_control_up ") == 0
        assert gateway.chat().status == 200
