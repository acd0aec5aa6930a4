"""`lockgate serve` from the outside: it starts, says one line, serves, and refuses to start with a message that
helps."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateway_process import KEY, ROOT, GatewayProcess, launch, minimal, serving, write
from tests.support.ports import free_port


def refused(gateway: GatewayProcess) -> str:
    """What a gateway that ends by itself with 1 wrote to stderr; nothing may be on stdout."""
    assert gateway.process.stdout is not None
    with gateway.process.stdout as stdout:
        assert gateway.wait() == 1, gateway.logged()
        assert stdout.read() == b""
    text = gateway.logged()
    assert "Traceback" not in text
    return text


def test_it_prints_one_line_when_it_serves_and_nothing_else_on_stdout(tmp_path: Path) -> None:
    with serving(tmp_path, minimal(server={"workers": 2})) as gateway:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", gateway.data)
        assert gateway.chat("hello").json["choices"][0]["message"]["content"] == "hello"
        assert gateway.readiness()["workers"] == {"0": "ready", "1": "ready"}
        assert gateway.stop() == 0, gateway.logged()
        assert gateway.process.stdout is not None
        assert gateway.process.stdout.read() == b""


def test_the_ops_listener_answers_health_readiness_metrics_and_loop_lag(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        assert gateway.request("GET", "/healthz", ops=True).status == 200
        ready = gateway.request("GET", "/readyz", ops=True)
        assert (ready.status, ready.json["ready"], ready.json["stale"]) == (200, True, [])
        metrics = gateway.request("GET", "/metrics", ops=True)
        assert metrics.headers["content-type"].startswith("text/plain")
        assert b"lockgate_config_last_reload_ok 1.0" in metrics.body
        assert set(gateway.request("GET", "/debug/loop", ops=True).json["loop_lag_ms"]) == {"supervisor", "worker-0"}
        assert gateway.request("GET", "/nothing", ops=True).status == 404
        assert gateway.request("POST", "/metrics", b"", ops=True).status == 405
        assert gateway.request("HEAD", "/metrics", ops=True).body == b""


def test_it_says_what_it_runs_with(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        (ready,) = gateway.events("ready")
        assert ready["data"] == gateway.data
        assert ready["workers"] == 1
        assert "body=20000000 " in ready["limits"]
        assert ready["retries"].startswith("attempts=2 ")
        assert ready["backends"] == {"scripted": "fake"}
        assert KEY not in gateway.logged()


def test_every_request_has_a_line_and_a_count_without_its_content(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        request_id = gateway.chat("the moon is a balloon").headers["x-request-id"]
        assert gateway.chat("hi", key="wrong").status == 401
        first, second = gateway.until_event("request_ended", 2)
        assert (first["id"], first["tenant"], first["model"], first["code"]) == (request_id, "acme", "small", "ok")
        assert second["code"] == "invalid_api_key"
        assert "balloon" not in gateway.logged()
        page = gateway.request("GET", "/metrics", ops=True).body.decode()
        assert 'code="ok",endpoint="chat",model="small",outcome="answered",tenant="acme"} 1.0' in page
        assert "balloon" not in page


def test_an_endpoint_that_cannot_be_reached_is_told_at_the_start_and_again_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    nowhere, later = "http://nowhere.invalid:8000", f"http://127.0.0.1:{port}"
    backend = {"kind": "vllm", "endpoints": [{"url": nowhere}, {"url": later}]}
    configuration = minimal(backends={"gpu": backend}, models={"small": {"backend": "gpu"}})
    with serving(tmp_path, configuration) as gateway:
        out = gateway.until_event("endpoint_out_of_service", 2)
        assert {(each["backend"], each["endpoint"], each["level"]) for each in out} == {
            ("gpu", nowhere, "warning"),
            ("gpu", later, "warning"),
        }
        assert all(each["reason"] for each in out)
        with subprocess.Popen([sys.executable, "-m", "gateway.backends.fake", "--port", str(port)], cwd=ROOT) as fake:
            try:
                (back,) = gateway.until_event("endpoint_back_in_service")
                assert back["endpoint"] == later
                assert gateway.chat().status == 200
            finally:
                fake.terminate()


def test_the_access_log_can_be_off(tmp_path: Path) -> None:
    with serving(tmp_path, minimal(telemetry={"access_log": False})) as gateway:
        assert gateway.chat().status == 200
        assert gateway.stop() == 0
        assert not gateway.events("request_ended")


def test_flags_beat_the_environment_which_beats_the_files(tmp_path: Path) -> None:
    configuration = minimal(server={"workers": 3, "ops": "127.0.0.1:0"})
    environment = {"LOCKGATE_WORKERS": "2", "LOCKGATE_LOG_LEVEL": "debug"}
    with serving(tmp_path, configuration, "--workers", "1", environment=environment) as gateway:
        assert list(gateway.readiness()["workers"]) == ["0"]


def test_state_is_for_its_owner_only(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        for path in (gateway.state_dir, gateway.state_dir / "run", gateway.state_dir / "journal"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
        for path in (gateway.state_dir / "secret", gateway.state_dir / "lock"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_wrong_configuration_is_a_message_with_the_file_and_the_nearest_key(tmp_path: Path) -> None:
    write(tmp_path / "config", minimal(server={"wrokers": 1}))
    text = refused(launch(tmp_path / "config", tmp_path / "state"))
    assert "gateway.yaml" in text
    assert "workers" in text
    assert not (tmp_path / "state").exists()


def test_a_folder_that_is_not_there_is_a_message(tmp_path: Path) -> None:
    assert "nowhere" in refused(launch(tmp_path / "nowhere", tmp_path / "state"))


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "sharing its port"])
def test_a_port_that_another_process_serves_is_never_joined(tmp_path: Path, shared: bool) -> None:
    with socket.socket() as other:
        if shared:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        write(tmp_path / "config", minimal())
        text = refused(launch(tmp_path / "config", tmp_path / "state", "--port", str(port)))
    assert f"cannot listen on 127.0.0.1:{port}" in text
    assert "another process" in text
    assert not (tmp_path / "state").exists()


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize(("everywhere", "called"), [("0.0.0.0:0", "127.0.0.1"), ("[::]:0", r"\[::1\]")])
def test_the_address_it_prints_is_one_that_can_be_called(tmp_path: Path, everywhere: str, called: str) -> None:
    if everywhere.startswith("[") and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    with serving(tmp_path, minimal(server={"workers": 1, "bind": everywhere})) as gateway:
        assert re.fullmatch(rf"http://{called}:\d+", gateway.data)
        assert gateway.chat().status == 200
        assert gateway.events("ready")[0]["bind"] == everywhere


def test_an_ops_port_that_is_taken_is_a_message(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        write(tmp_path / "config", minimal(server={"ops": address}))
        assert f"cannot listen on {address}" in refused(launch(tmp_path / "config", tmp_path / "state"))


def test_a_second_gateway_on_one_state_directory_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        second = launch(tmp_path / "config", first.state_dir)
        log = refused(second)  # both log to the same file name
        assert f"in use by another gateway (process {first.pid}" in log
        assert first.chat().status == 200


def test_a_state_directory_that_cannot_be_written_is_a_message(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        (tmp_path / "file").write_text("not a folder")
        place = tmp_path / "file" / "state"
    else:
        (tmp_path / "closed").mkdir(mode=0o500)
        place = tmp_path / "closed" / "state"
    write(tmp_path / "config", minimal())
    gateway = launch(tmp_path / "config", tmp_path / "state", "--state-dir", str(place))
    assert "cannot use the state directory" in refused(gateway)


def test_a_child_that_cannot_start_ends_the_start_with_what_it_said(tmp_path: Path) -> None:
    script = tmp_path / "broken.yaml"
    script.write_text("rules: 7\n", encoding="utf-8")
    write(tmp_path / "config", minimal(backends={"scripted": {"kind": "fake", "script": str(script)}}))
    text = refused(launch(tmp_path / "config", tmp_path / "state"))
    assert "backend 'scripted': its server ended with code 1" in text
    assert "broken.yaml" in text


def test_a_deep_state_directory_does_not_break_the_sockets_of_children(tmp_path: Path) -> None:
    root = tmp_path / ("d" * 60) / ("e" * 60)
    with serving(root) as gateway:
        assert gateway.chat().status == 200
