"""Reload: a good change is in force everywhere at once, a bad one changes nothing and is told."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from tests.integration.test_serve_drain import Stream, in_two_parts, over
from tests.support.gateway_process import GatewayProcess, descendants, lives, minimal, serving, until, write
from tests.support.running import run
from tests.support.upstream import Upstream


def with_model(name: str, **sections: Any) -> dict[str, Any]:
    """The minimal configuration with the model `name` instead of `small`."""
    return minimal(models={name: {"backend": "scripted"}}, **sections)


def reload(gateway: GatewayProcess, configuration: dict[str, Any], workers: int = 1) -> None:
    """Writes a good configuration, sends SIGHUP and waits until every worker serves it."""
    write(gateway.folder, configuration)
    gateway.signal(signal.SIGHUP)
    gateway.until_event("worker_reloaded", workers)


def test_sighup_puts_a_change_in_force_in_every_worker_without_a_restart(tmp_path: Path) -> None:
    two = {"server": {"workers": 2}}
    with serving(tmp_path, minimal(**two)) as gateway:
        before, pids = gateway.readiness()["snapshot"], gateway.worker_pids()
        reload(gateway, with_model("large", **two), workers=2)
        readiness = gateway.readiness()
        assert readiness["snapshot"] != before
        assert readiness["stale"] == []
        for _ in range(8):  # whichever worker answers
            assert gateway.chat(model="large").status == 200
            assert gateway.chat(model="small").status == 404
        assert gateway.worker_pids() == pids
        assert set(pids) <= set(descendants(gateway.pid))


def test_a_changed_file_is_noticed_without_a_signal(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        write(gateway.folder, with_model("large"))
        gateway.until_event("worker_reloaded")
        assert gateway.chat(model="large").status == 200


def test_a_bad_change_leaves_everything_as_it_was_and_is_told(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        before = gateway.readiness()["snapshot"]
        write(gateway.folder, minimal(models={"small": {"backend": "scriptde"}}))
        gateway.signal(signal.SIGHUP)
        (failed, *_) = gateway.until_event("config_reload_failed")
        assert "scriptde" in failed["error"]
        assert "scripted" in failed["error"]  # the nearest known name
        ready = gateway.request("GET", "/readyz", ops=True)
        assert (ready.status, ready.json["snapshot"], ready.json["config_reload_failed"]) == (200, before, True)
        assert b"lockgate_config_last_reload_ok 0.0" in gateway.request("GET", "/metrics", ops=True).body
        assert gateway.chat().status == 200
        reload(gateway, with_model("large"))
        assert b"lockgate_config_last_reload_ok 1.0" in gateway.request("GET", "/metrics", ops=True).body


def test_a_worker_started_after_a_reload_begins_with_the_new_configuration(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        reload(gateway, with_model("large"))
        os.kill(gateway.worker_pids()[0], signal.SIGKILL)
        assert gateway.chat(model="large").status == 200


def test_what_takes_a_restart_is_said_and_not_half_done(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        reload(gateway, with_model("large", server={"workers": 3, "bind": "127.0.0.1:1"}))
        (told,) = gateway.events("config_needs_restart")
        assert told["settings"] == ["bind", "workers"]
        assert list(gateway.readiness()["workers"]) == ["0"]
        assert gateway.chat(model="large").status == 200


def test_a_running_request_ends_as_it_began(tmp_path: Path) -> None:
    async def scenario() -> None:
        go_on = asyncio.Event()
        async with Upstream([in_two_parts(go_on)]) as upstream:
            with serving(tmp_path, over(upstream)) as gateway:
                stream = await Stream.begin(gateway)
                await asyncio.to_thread(reload, gateway, with_model("large"))
                go_on.set()
                await stream.reader.readuntil(b"[DONE]")
                stream.writer.close()
                assert (await asyncio.to_thread(gateway.chat, model="large")).status == 200

    run(scenario())


def test_a_changed_child_is_up_before_the_old_one_is_retired(tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text('answer: "new"\n', encoding="utf-8")
    quick = {"server": {"workers": 1, "limits": {"drain_s": 0.2}}}
    with serving(tmp_path, minimal(**quick)) as gateway:
        (old,) = gateway.child_pids()
        reload(gateway, minimal(backends={"scripted": {"kind": "fake", "script": str(script)}}, **quick))
        assert gateway.chat().json["choices"][0]["message"]["content"] == "new"
        gateway.until_event("child_retired")
        until(lambda: not lives(old), "the old fake server ends")
        assert gateway.chat().status == 200


def test_a_child_that_cannot_start_fails_the_reload_and_the_old_one_serves_on(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        broken = tmp_path / "broken.yaml"
        broken.write_text("rules: 7\n", encoding="utf-8")
        write(gateway.folder, minimal(backends={"scripted": {"kind": "fake", "script": str(broken)}}))
        (failed,) = gateway.until_event("config_reload_failed")
        assert "'scripted'" in failed["error"]
        assert gateway.chat().status == 200
