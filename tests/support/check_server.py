"""A check process for tests, without a gateway: `python -m tests.support.check_server SOCKET` answers until it is
killed.

Classifiers are the real ones. `entities` says where the word given as its name stands; `slow` answers after its name's
seconds; `nonsense` raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gateway.offload.frames import Question
from gateway.offload.lanes import Unanswered
from gateway.offload.models import Models, classifier
from gateway.offload.server import CheckServer

ROOT = Path(__file__).resolve().parents[2]


def _entities(word: str) -> Callable[[str], object]:
    return lambda text: [[text.index(word), text.index(word) + len(word), "WORD", 1.0]] if word in text else []


def _slow(seconds: str) -> Callable[[str], object]:
    def judge(text: str) -> object:
        time.sleep(float(seconds))
        return 0.5

    return judge


def _nonsense(name: str) -> Callable[[str], object]:
    def judge(text: str) -> object:
        raise ZeroDivisionError

    return judge


def _no_webhooks(question: Question) -> object:
    raise Unanswered


async def _serve(path: Path) -> None:
    models = Models({"classifier": classifier, "entities": _entities, "slow": _slow, "nonsense": _nonsense})
    server = CheckServer(models.answer, _no_webhooks, lambda error: None)
    await server.listen(path)
    print("listening", flush=True)
    await asyncio.get_running_loop().create_future()


class CheckProcess:
    """One that runs."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-P", "-m", "tests.support.check_server", str(path)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=environment)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"listening\n"

    @property
    def pid(self) -> int:
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """With SIGKILL; returns when it is gone."""
        with self._process:
            self._process.kill()


@contextlib.contextmanager
def check_process(path: Path) -> Iterator[CheckProcess]:
    """One that runs for as long."""
    process = CheckProcess(path)
    try:
        yield process
    finally:
        process.kill()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
