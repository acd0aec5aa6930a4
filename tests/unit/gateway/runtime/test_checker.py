from __future__ import annotations

import asyncio
import json
import socket
import threading
from pathlib import Path
from typing import Any

import msgspec

from gateway.clock import SystemClock
from gateway.config import archive
from gateway.config.model import Config
from gateway.config.model_chains import WebhookTarget
from gateway.offload.client import CheckClient
from gateway.runtime.checker import Checker
from gateway.runtime.checking import CheckStart
from gateway.runtime.control_channel import Alive, Channel, Load, Loaded
from gateway.runtime.state_dir import checks_socket
from gateway.telemetry.logs import Log
from guardrails.check import Need
from guardrails.classifiers import load
from tests.support.running import run, until

INJECTION = ("classifier", "injection")


class Scene:
    """A checker in this process, and the supervisor's end of its channel."""

    def __init__(self, state_dir: Path, first: Load) -> None:
        (state_dir / "run").mkdir(exist_ok=True)
        self.lines: list[dict[str, Any]] = []
        log = Log(SystemClock(), write=lambda line: self.lines.append(json.loads(line)))
        ours, theirs = socket.socketpair()
        self.checker = Checker(CheckStart(theirs.detach(), str(state_dir), first, "info"), log)
        self._running = asyncio.ensure_future(self.checker.run())
        self._came: asyncio.Queue[Alive | Loaded] = asyncio.Queue()
        self.channel = Channel(Alive | Loaded, self._came.put_nowait, lambda: None)
        connecting = asyncio.get_running_loop().create_unix_connection(lambda: self.channel, sock=ours)
        self._connecting = asyncio.ensure_future(connecting)

    async def loaded(self) -> Loaded:
        """What it says next beside that it lives."""
        await self._connecting
        self.beats = 0
        while isinstance(said := await self._came.get(), Alive):
            self.beats += 1
        return said

    async def end(self) -> None:
        """The supervisor is gone."""
        self.channel.close()
        await self._running


def test_one_that_computes_for_ever_does_not_say_that_it_lives(tmp_path: Path) -> None:
    async def scene() -> None:
        there = Scene(tmp_path, Load("d", ()))
        assert await there.loaded() == Loaded("d")
        there.checker.beat()
        there.channel.send(Load("e", ()))
        assert await there.loaded() == Loaded("e")
        assert there.beats >= 1
        lane, ended = there.checker._server._short, threading.Event()
        lane._stuck_s = 0.0
        there.checker._models._judges["classifier", "endless"] = lambda text: ended.wait()
        client = CheckClient(checks_socket(tmp_path))
        asking = asyncio.ensure_future(answered(client, Need("classifier", "endless", "", 0)))
        await until(lambda: lane.stuck, "it seems endless")
        for digest in ("f", "g"):  # what it had said before came before the first
            there.channel.send(Load(digest, ()))
            assert await there.loaded() == Loaded(digest)
            there.checker.beat()
        assert there.beats == 0
        ended.set()
        await asking
        assert not lane.stuck
        client.close()
        await there.end()

    run(scene())


async def answered(client: CheckClient, *needs: Need) -> list[tuple[object, str]]:
    """What each is told."""
    waiting: list[asyncio.Future[tuple[object, str]]] = []
    for need in needs:
        told: asyncio.Future[tuple[object, str]] = asyncio.get_running_loop().create_future()
        waiting.append(told)
        client.ask(need, 60_000, lambda value, failure, told=told: told.set_result((value, failure)))  # type: ignore[misc]
    return [await told for told in waiting]


def test_it_loads_what_it_is_told_names_what_is_missing_and_answers_the_rest(tmp_path: Path) -> None:
    async def scene() -> None:
        wanted = (INJECTION, ("classifier", "irony"))
        there = Scene(tmp_path, Load("d", wanted))
        missing = "classifier irony: there is no classifier 'irony'; there are: injection, toxicity"
        assert await there.loaded() == Loaded("d", (missing,))
        client = CheckClient(checks_socket(tmp_path))
        assert await answered(client, Need("classifier", "irony", "a", 0), Need(*INJECTION, "a", 1)) == [
            (None, "unavailable"),
            (load("injection").score("a"), ""),
        ]
        there.channel.send(Load("e", (INJECTION,)))
        assert await there.loaded() == Loaded("e")
        client.close()
        await there.end()

    run(scene())


def test_a_webhook_without_its_secret_is_missing_and_the_others_answer(tmp_path: Path) -> None:
    async def scene() -> None:
        hook = WebhookTarget(url="http://127.0.0.1:1/", secret="${NOWHERE_SET_SECRET}")
        blob = archive.encode(Config(webhooks={"own": hook}))
        digest = archive.digest(blob)
        archive.write(tmp_path, blob)
        there = Scene(tmp_path, Load(digest, (INJECTION, ("webhook", "own"))))
        (missing,) = (await there.loaded()).missing
        assert "NOWHERE_SET_SECRET" in missing
        client = CheckClient(checks_socket(tmp_path))
        told = await answered(client, Need("webhook", "own", "a", 0), Need(*INJECTION, "a", 1))
        assert [failure for _, failure in told] == ["unavailable", ""]
        client.close()
        await there.end()

    run(scene())


def test_a_bug_is_logged_by_its_place_and_never_with_the_text(tmp_path: Path) -> None:
    async def scene() -> None:
        def judge(text: str) -> object:
            raise KeyError(text)

        there = Scene(tmp_path, Load("d", ()))
        await there.loaded()
        there.checker._models._judges["classifier", "broken"] = judge
        client = CheckClient(checks_socket(tmp_path))
        assert await answered(client, Need("classifier", "broken", "what a caller said", 0)) == [(None, "unavailable")]
        (line,) = [line for line in there.lines if line["event"] == "check_bug"]
        assert (line["error"], line["where"].partition(":")[0]) == ("KeyError", "test_checker.py")
        assert "what a caller said" not in str(there.lines)
        client.close()
        await there.end()

    run(scene())


def test_its_start_says_no_secret() -> None:
    assert set(msgspec.to_builtins(CheckStart(3, "state", Load("d", (INJECTION,)), "info"))) == {
        *("control_fd", "state_dir", "load", "log_level")
    }
