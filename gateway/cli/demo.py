"""`lockgate demo`: the gateway with four small real models and two tenants, on a bare machine."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import click

from gateway.cli.admin_client import TOKEN_VARIABLE
from gateway.control.issuing import new_key

KEYS_FILE = "demo-keys.json"
KEY_NAME = "demo"
TOKEN_FILE = "admin-token"
OPS = "127.0.0.1:8081"
CONTROL = "127.0.0.1:8082"
ROW = (
    ("age", "FP32", 34),
    ("plan", "BYTES", "free"),
    ("monthly_spend", "FP32", None),
    ("months", "INT64", 3),
    ("tickets", "INT64", 4),
)
"""A customer, as the demo's model `churn` takes one."""


@click.command(short_help="Serve four small real models to two tenants with fresh keys.")
@click.option(
    "--port", metavar="P", type=int, default=8080, show_default=True, help="The data port; 0 takes a free one."
)
@click.option(
    "--state-dir",
    metavar="D",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("state/demo"),
    show_default=True,
    help="Where the demo keeps its keys, its configuration and the gateway's state.",
)
@click.option("--workers", metavar="N", type=int, help="Worker processes (default: one for each CPU that is granted).")
@click.option(
    "--ops", metavar="HOST:PORT", help=f"The ops listener's address (default: {OPS}, or a free port if that is taken)."
)
@click.option(
    "--control", metavar="HOST:PORT", help=f"The control listener's (default: {CONTROL}, or a free port likewise)."
)
def demo(port: int, state_dir: Path, workers: int | None, ops: str | None, control: str | None) -> None:
    """Serves the demo until SIGTERM or SIGINT: no GPU, nothing downloaded.

    The keys of its tenants and the admin token are made once per state directory and kept in D/demo-keys.json and
    D/admin-token (mode 0600). D/config holds the configuration that runs, as for `lockgate serve --config D/config
    --state-dir D`. Prints the URL, the keys and an example, then `ready http://HOST:PORT` once it serves. On a terminal
    the log goes to D/log, else to stderr.
    """
    from gateway.config.model import Overrides
    from gateway.errors import ConfigError
    from gateway.runtime import supervisor
    from gateway.runtime.failures import StartFailed

    try:
        folder, keys = prepare(state_dir, source_folder())
        _administered(state_dir, folder, control or free_address(CONTROL))

        log = state_dir / "log" if sys.stderr.isatty() else None

        def on_ready(url: str) -> None:
            click.echo(_welcome(url, keys, state_dir, log))
            click.echo(f"ready {url}")
            sys.stdout.flush()

        if log is not None:
            click.echo(f"Starting the models, which takes a few seconds. The log goes to {log}.", err=True)
        overrides = Overrides(port=port, ops=ops or free_address(OPS), workers=workers, state_dir=str(state_dir))
        with _stderr_to(log):
            supervisor.run(folder, overrides, on_ready=on_ready)
    except (ConfigError, StartFailed) as error:
        sys.exit(f"lockgate demo: {error}")
    except OSError as error:
        sys.exit(f"lockgate demo: {error.filename or state_dir}: {error.strerror}")


def free_address(address: str) -> str:
    """`address` if its port is free, else the same host with any port."""
    host, _, port = address.rpartition(":")
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the listener does: ports just left are free
        try:
            tried.bind((host, int(port)))
        except OSError:
            return f"{host}:0"
    return address


@contextmanager
def _stderr_to(log: Path | None) -> Iterator[None]:
    """What this process and its children write to stderr goes to the file meanwhile; None leaves it as it is."""
    if log is None:
        yield
        return
    terminal = os.dup(2)
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(fd, 2)
    os.close(fd)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


def source_folder() -> Path:
    """Where the demo's configuration comes from: beside the packages in a checkout, inside `gateway` in a wheel."""
    from gateway.backends import model_files

    return model_files.demo_folder()


def prepare(state_dir: Path, source: Path) -> tuple[Path, dict[str, str]]:
    """Makes `state_dir` ready: the folder of its configuration, and the secret of each tenant.

    Secrets that are there are kept. Raises ConfigError when a model of the demo is not installed, or when the file of
    keys is damaged; OSError when a file cannot be written.
    """
    from gateway.backends import embedded_models, model_files
    from gateway.config.load import load
    from gateway.config.model import Embedded, Onnx, Version

    # First: the configuration itself asks for packages of the same extra.
    _refuse_lacking(map(embedded_models.missing, embedded_models.MODELS))
    config = load(source)
    models = [backend.model for backend in config.backends.values() if isinstance(backend, Embedded)]
    versions = [
        version for model in config.models.values() if isinstance(model, Onnx) for version in model.versions.values()
    ]
    classic = [version.path if isinstance(version, Version) else version for version in versions]
    _refuse_lacking([*map(embedded_models.missing, models), *map(model_files.missing, classic)])

    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = state_dir / "config"
    folder.mkdir(mode=0o700, exist_ok=True)
    secret_of = _keys(state_dir / KEYS_FILE, list(config.tenants))
    lines = [
        json.dumps({"tenant": tenant, "key": KEY_NAME, "hash": "sha256:" + sha256(secret.encode()).hexdigest()})
        for tenant, secret in secret_of.items()
    ]
    for path in sorted(source.glob("*.yaml")):
        _write(folder / path.name, path.read_text(encoding="utf-8"))
    _write(folder / "keys.jsonl", "\n".join(lines) + "\n")
    return folder, secret_of


def _refuse_lacking(told: Iterable[str | None]) -> None:
    from gateway.errors import ConfigError

    lacking = [message for message in told if message is not None]
    if lacking:
        raise ConfigError("\n".join(["a model of the demo is not installed.", *lacking]))


def _administered(state_dir: Path, folder: Path, bind: str) -> None:
    """Turns the control listener on, with a token of its own, where what it needs is installed."""
    from gateway.control.issuing import new_token
    from gateway.runtime import controlling

    if controlling.missing() is not None:
        return
    path = state_dir / TOKEN_FILE
    if not path.is_file():
        _write(path, new_token().secret + "\n")
    os.environ.setdefault(TOKEN_VARIABLE, path.read_text(encoding="utf-8").strip())
    control = {"bind": bind, "admin_token": f"${{{TOKEN_VARIABLE}}}"}
    _write(folder / "control.yaml", json.dumps({"server": {"control": control}}) + "\n")


def _keys(path: Path, tenants: list[str]) -> dict[str, str]:
    """The secret of each tenant, made when absent."""
    from gateway.errors import ConfigError

    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        kept = {}
    except ValueError:
        kept = None
    if not isinstance(kept, dict) or not all(isinstance(secret, str) and secret for secret in kept.values()):
        raise ConfigError(f"{path} is damaged; remove it and the demo makes new keys")
    secret_of = {tenant: kept.get(tenant) or new_key().secret for tenant in tenants}
    if secret_of != kept:
        _write(path, json.dumps(secret_of, indent=2) + "\n")
    path.chmod(0o600)
    return secret_of


def _write(path: Path, text: str) -> None:
    """Puts `text` there whole, readable by its owner only, unless it is there already: an equal file is not touched."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def _column(column: tuple[str, str, object]) -> dict[str, object]:
    """An input of one row, in the Open Inference Protocol."""
    name, datatype, value = column
    return {"name": name, "shape": [1, 1], "datatype": datatype, "data": [value]}


def _welcome(url: str, keys: dict[str, str], state_dir: Path, log: Path | None) -> str:
    everything, narrow = keys
    running = json.loads((state_dir / "run" / "gateway.json").read_bytes())
    ops, control = running["ops"], running.get("control")
    admin = "" if control is None else f"\n  {control}/admin/docs      the token is in {state_dir / TOKEN_FILE}\n"
    program = sys.argv[0] if Path(sys.argv[0]).name == "lockgate" else "lockgate"  # in a checkout it is not on the path
    row = json.dumps({"inputs": [*map(_column, ROW)]})
    body = '{"model": "smollm2-135m", "messages": [{"role": "user", "content": "Name the capital of France."}]}'
    return f"""
Lockgate serves a chat model (smollm2-135m), an embedding model (minilm) and two classic models (churn, magika):

  {url}/v1        {ops}/metrics
{admin}
  {everything:8} {keys[everything]}   may use all of them
  {narrow:8} {keys[narrow]}   may use minilm only

  curl {url}/v1/chat/completions -H 'authorization: Bearer {keys[everything]}' \\
    -H 'content-type: application/json' -d '{body}'

  curl {url}/v2/models/churn/infer -H 'authorization: Bearer {keys[everything]}' \\
    -d '{row}'

What became of each request:  {program} records list --state-dir {state_dir}
Why, and what it cost:        {program} explain ID --state-dir {state_dir}
What an agent did, in steps:  {program} trajectories list --state-dir {state_dir}
The keys are also in {state_dir / KEYS_FILE}. {"" if log is None else f"The log is in {log}. "}Ctrl-C ends it.
"""
