"""`lockgate import`: another gateway's configuration to ours, with a report of everything that could not be carried."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.config.from_litellm.translate import Imported
    from gateway.config.nodes import Node

WITH_LOSSES = 3
MOST_KEYS_IN_YAML = 20
_MAX_BYTES = 64_000_000

_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("import", short_help="Move in from another gateway.")
def import_config() -> None:
    """Move in from another gateway."""


@import_config.command(short_help="Turn a configuration of LiteLLM's proxy into ours.")
@click.argument("config", metavar="CONFIG", type=_file)
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), help="Write the configuration here (a new folder)."
)
@click.option("--teams", metavar="FILE", type=_file, help="Teams, as LiteLLM's GET /team/list answers (JSON).")
@click.option("--keys", metavar="FILE", type=_file, help="Keys: GET /key/list?return_full_object=true (JSON).")
@click.option(
    "--prices", metavar="FILE", type=_file, help="LiteLLM's price map, for models that state no price (JSON)."
)
def litellm(config: Path, out: Path | None, teams: Path | None, keys: Path | None, prices: Path | None) -> None:
    """Turn a configuration of LiteLLM's proxy into ours, and say what could not be carried. Without --out, show it.

    No secret is written: a key in the file becomes ${NAME}, to be set in the environment. Callers keep their keys, of
    which LiteLLM and we hold the same hash.

    Exit codes: 0 everything was carried; 3 carried with losses, which the report lists; 1 an error, and nothing was
    written; 2 wrong usage.
    """
    from gateway.config.from_litellm.prices import translate as translate_prices
    from gateway.config.from_litellm.translate import translate

    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} exists already: name a new folder")
    price_map = None if prices is None else translate_prices(read_text(prices)).entries
    found = translate(_read(config), _read_optional(teams), _read_optional(keys), os.environ, price_map)
    secret = _make_key(found) if found.keyless else None
    files = _files(found, config.name)
    doubts = _verified(files, found)
    report = "\n".join(_report(found, config.name, doubts)) + "\n"
    if out is None:
        for name, text in files.items():
            click.echo(f"# {name}\n{text}")
    else:
        _write(out, {**files, "import-report.txt": report})
    click.echo(report, nl=False)
    if secret is not None:
        click.echo("\nThere was no key, so one was made. Its secret is shown this once and kept nowhere:\n")
        click.echo(f"  {secret}")
    if out is not None:
        click.echo(f"\nWritten to {out}. Next: lockgate check {out}")
    if found.report.losses:
        raise SystemExit(WITH_LOSSES)


def _read(path: Path) -> Node:
    from gateway.config import nodes

    try:
        return nodes.from_yaml(read_text(path), path.name)  # JSON is YAML
    except nodes.Unreadable as error:
        raise ConfigError(f"{path.name}:{error.line}: {error.message}") from None


def read_text(path: Path) -> str:
    """A file of somebody else's that is to be translated. Raises ConfigError."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"{path}: larger than {_MAX_BYTES // 10**6} MB")
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read this file: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None


def _read_optional(path: Path | None) -> Node | None:
    return None if path is None else _read(path)


def _make_key(found: Imported) -> str:
    """A key for the first tenant; returns its secret."""
    from gateway.control.issuing import new_key

    made = new_key()
    tenant = next(iter(found.tenants.values()))
    tenant["keys"]["first"] = {"hash": made.hash}
    return made.secret


def _files(found: Imported, source: str) -> dict[str, str]:
    """The files to write, by name."""
    from gateway.config.emit import yaml_text

    head = f"# From {source}, by lockgate import litellm.\n\n"
    files = {"models.yaml": head + yaml_text({"backends": found.backends, "models": found.models})}
    if found.server:
        files["server.yaml"] = head + yaml_text({"server": found.server})
    tenants, lines = dict(found.tenants), []
    for name, tenant in tenants.items():
        if len(tenant["keys"]) > MOST_KEYS_IN_YAML:
            tenants[name] = {part: value for part, value in tenant.items() if part != "keys"}
            lines += [json.dumps({"tenant": name, "key": key, **entry}) for key, entry in tenant["keys"].items()]
    meters = {"meters": found.meters} if found.meters else {}
    files["tenants.yaml"] = head + yaml_text({"tenants": tenants, **meters})
    if lines:
        files["keys.jsonl"] = "\n".join(lines) + "\n"
    return files


def _verified(files: dict[str, str], found: Imported) -> list[str]:
    """What `lockgate check` will doubt, once every variable is set. Raises ConfigError for what it would refuse: two
    entries of the foreign configuration that contradict each other in ours."""
    from gateway.config import review
    from gateway.config.load import load_with_places

    environ = {**_stand_ins(found.backends), **os.environ}
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), files)
        config, places = load_with_places(Path(folder), environ=environ)
    return [places.show(finding) for finding in review.doubts(config, time.time())]


def _stand_ins(backends: dict[str, dict[str, Any]]) -> dict[str, str]:
    """A value for every variable that the backends refer to."""
    from gateway.config.units import env_names

    values = {}
    for backend in backends.values():
        addresses = [backend.get("api_base", ""), *(endpoint["url"] for endpoint in backend.get("endpoints", ()))]
        values.update(dict.fromkeys(env_names(backend.get("api_key", "")), "secret"))
        values.update({name: "http://127.0.0.1" for address in addresses for name in env_names(address)})
    return values


def _write(folder: Path, files: dict[str, str]) -> None:
    """Writes all files into a folder, which appears whole or not at all when it is new."""
    new = folder if folder.exists() else folder.with_name(f".{folder.name}.new")
    try:
        new.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (new / name).write_text(text, encoding="utf-8")
        if new != folder:
            new.replace(folder)
    except OSError as error:
        if new != folder:
            shutil.rmtree(new, ignore_errors=True)
        raise ConfigError(f"{folder}: cannot write this folder: {error.strerror}") from error


def _report(found: Imported, source: str, doubts: list[str]) -> Iterator[str]:
    keys = sum(len(tenant["keys"]) for tenant in found.tenants.values())
    what = [
        (len(found.models), "model"),
        (len(found.backends), "backend"),
        (len(found.tenants), "tenant"),
        (keys, "key"),
    ]
    yield f"From {source}: " + ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in what) + "."
    providers = sorted({backend["provider"] for backend in found.backends.values() if backend["kind"] == "provider"})
    if providers:
        yield f"Prompts go out to: {', '.join(providers)}. They need: pip install 'lockgate[providers]'"
    names = sorted(_stand_ins(found.backends))
    if names:
        yield f"Set in the environment: {', '.join(names)}"
    for title, lines in (
        ("Secrets that stood in the file", [str(line) for line in found.report.secrets.values()]),
        ("To know", [str(line) for line in found.report.notes]),
        ("What lockgate check will doubt", doubts),
        ("Not carried", [str(line) for line in found.report.losses]),
    ):
        if lines:
            yield f"\n{title} ({len(lines)}):"
            yield from (f"  {line}" for line in lines)
