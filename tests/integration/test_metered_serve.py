"""A whole gateway with prices and meters: what is answered, what is in the ledger, what the meters say and what the
metrics say are one and the same, though processes are killed."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import signal
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.policy import authority
from gateway.policy.authority import BucketState
from gateway.runtime.meter_stores import open_store
from gateway.store.usage import ask
from gateway.store.usage_query import Question
from tests.integration.test_serve_crash import metric
from tests.support.gateway_process import Answer, GatewayProcess, minimal, serving, until

CONFIGURATION = minimal(
    server={"workers": 2},
    models={"small": {"backend": "scripted", "price": {"input": "$1/1M", "output": "$3/1M"}}},
    meters=[
        {"cap": "$100", "window": "month", "zone": "Europe/Berlin"},
        {"cap": "1000000 output_tokens", "window": "day"},
        {"cap": "40 concurrent"},
    ],
)


def nanos(answer: Answer) -> int:
    """What an answer cost by the usage it states."""
    usage = answer.json["usage"]
    return int(usage["prompt_tokens"]) * 1_000 + int(usage["completion_tokens"]) * 3_000


def buckets(state_dir: Path) -> dict[str, BucketState]:
    """Everything in the store, by quantity."""

    async def scenario() -> dict[str, BucketState]:
        store = open_store("sqlite", state_dir, "s:test")
        found = await store.scan()
        await store.close()
        return {key.split("|")[1]: authority.decode(raw) for key, raw in found.items()}

    return asyncio.run(scenario())


def total(state_dir: Path) -> dict[str, Any]:
    """What usage says in sum."""
    answer = ask(state_dir, Question())
    return dict(zip(answer.columns, answer.rows[0], strict=True))


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with serving(tmp_path, CONFIGURATION) as running:
        yield running


def ask_some(gateway: GatewayProcess, times: int) -> int:
    """The nano-dollars of so many answers."""
    return sum(nanos(gateway.chat(f"hello {number}")) for number in range(times))


def next_pass(gateway: GatewayProcess) -> None:
    """The keeper looks now."""
    os.kill(until(gateway.keeper_pid, "the keeper runs"), signal.SIGHUP)


def checked(gateway: GatewayProcess, requests: int) -> int:
    """Makes passes until so many requests are in the ledger, and something was compared since; returns the drift."""
    before = metric(gateway, "lockgate_ledger_drift_checks_total")

    def look() -> bool:
        next_pass(gateway)
        return (
            metric(gateway, "lockgate_ledger_rows") == requests
            and metric(gateway, "lockgate_ledger_drift_checks_total") > before
        )

    until(look, "all is in the ledger, and compared")
    return int(metric(gateway, "lockgate_ledger_drift_usd_nanos"))


def test_answers_ledger_meters_and_metrics_agree_to_the_nano_dollar(gateway: GatewayProcess, tmp_path: Path) -> None:
    spent = ask_some(gateway, 20)
    assert total(gateway.state_dir)["cost_usd"] == Decimal(spent) / 10**9
    until(lambda: buckets(gateway.state_dir).get("usd", BucketState()).settled == spent, "all is told")
    assert checked(gateway, 20) == 0
    assert gateway.stop() == 0
    after = buckets(gateway.state_dir)
    assert after["usd"].settled == spent
    assert {quantity: state.leased() for quantity, state in after.items()} == dict.fromkeys(after, 0)
    assert all(not state.leases for state in after.values()), "every owner ended, and was settled"
    assert after["output_tokens"].settled == total(gateway.state_dir)["output_tokens"]


def test_a_killed_worker_costs_nobody_anything_and_its_leases_come_back(gateway: GatewayProcess) -> None:
    spent = ask_some(gateway, 10)
    for pid in gateway.worker_pids():
        os.kill(pid, signal.SIGKILL)
    gateway.until_event("worker_ready", 4)
    gateway.until_event("leases_settled", 1)
    spent += ask_some(gateway, 5)
    assert gateway.stop() == 0
    after = buckets(gateway.state_dir)
    assert total(gateway.state_dir)["cost_usd"] == Decimal(spent) / 10**9
    assert after["usd"].settled == spent
    assert sum(state.leased() for state in after.values()) == 0


def test_a_killed_gateway_goes_on_with_what_it_had_counted(tmp_path: Path) -> None:
    with serving(tmp_path, CONFIGURATION) as gateway:
        spent = ask_some(gateway, 10)
        for pid in (gateway.pid, *gateway.worker_pids()):
            os.kill(pid, signal.SIGKILL)
        gateway.process.wait()
    with serving(tmp_path, CONFIGURATION) as gateway:
        spent += ask_some(gateway, 5)
        gateway.until_event("leases_settled", 1)
        until(lambda: metric(gateway, "lockgate_meter_unsettled_owners") == 0, "nobody is unsettled")
        assert metric(gateway, "lockgate_ledger_drift_usd_nanos") == 0
        assert gateway.stop() == 0
    assert buckets(tmp_path / "state")["usd"].settled == spent
    assert total(tmp_path / "state")["cost_usd"] == Decimal(spent) / 10**9


def test_a_drift_is_found_and_named(gateway: GatewayProcess) -> None:
    ask_some(gateway, 5)
    assert checked(gateway, 5) == 0

    async def forge() -> None:
        store = open_store("sqlite", gateway.state_dir, "s:test")

        def change(key: str, raw: bytes | None) -> tuple[bytes | None, None]:
            state = authority.decode(raw)
            for lease in state.leases.values():
                lease.spent += 3
                lease.granted += 3
            return authority.encode(state), None

        await store.update([key for key in await store.scan() if "|usd|" in key], change)
        await store.close()

    asyncio.run(forge())
    ask_some(gateway, 20)
    assert checked(gateway, 25) > 0
    (told, *_) = gateway.until_event("meters_drifted")
    assert told["bucket"].startswith("gateway:|usd|month@Europe/Berlin|")


def test_a_store_that_keeps_nothing_stops_the_start(tmp_path: Path) -> None:
    wrong = {**CONFIGURATION, "stores": {"meters": "redis://127.0.0.1:1/0"}}
    with pytest.raises(AssertionError, match=r"stores\.meters"), serving(tmp_path, wrong):
        pass


def test_a_share_that_is_warned_of_is_logged_counted_and_posted_once(tmp_path: Path) -> None:
    posted: list[dict[str, Any]] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        warns = {
            **CONFIGURATION,
            "meters": [{"cap": "10 requests", "window": "day", "at": {"50%": "warn"}}],
            "telemetry": {"webhook": f"http://127.0.0.1:{server.server_port}/hook"},
        }
        with serving(tmp_path, warns) as gateway:
            ask_some(gateway, 8)
            until(lambda: posted, "it is posted")
            gateway.until_event("meter_crossed")
            assert metric(gateway, 'lockgate_meter_warnings_total{quantity="requests"}') == 1
        server.shutdown()
        thread.join()
    (said,) = posted
    assert (said["quantity"], said["share"], said["used"], said["cap"]) == ("requests", "50%", "5", "10")
