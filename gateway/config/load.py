"""A folder of files, the environment and flags to one `Config`; or a `ConfigError` that lists every problem with its
place. (I/O)

    DIR/*.yaml, *.yml   any split; the sections' entries are put together, and an entry that is there twice is an error
    DIR/keys*.jsonl     {"tenant": "acme", "key": "app", "hash": "sha256:…", "expires": "2027-06-30"}, for thousands
    DIR/models*.jsonl   {"name": "m1", "backend": "gpu-a", …}, the other keys as under `models`
    DIR/tenants*.jsonl  {"name": "acme", "models": ["*"], …}, the other keys as under `tenants`
    DIR/prices.json     the price map of `price: from_price_map`

Flags beat the environment, the environment beats the files.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from gateway.config import lines, nodes, price_map, review, units
from gateway.config.lines import KnownKeys
from gateway.config.model import Config, Overrides
from gateway.config.nodes import Node, Unreadable
from gateway.config.places import Places
from gateway.config.shape import Path as KeyPath
from gateway.config.shape import Shaper, nearest
from gateway.errors import ConfigError

VARIABLES: Mapping[str, str] = {
    "bind": "LOCKGATE_BIND",
    "port": "LOCKGATE_PORT",
    "ops": "LOCKGATE_OPS",
    "workers": "LOCKGATE_WORKERS",
    "state_dir": "LOCKGATE_STATE_DIR",
    "log_level": "LOCKGATE_LOG_LEVEL",
}
"""The environment variable of each field of `Overrides`; the flag is the field's name with dashes."""

_LISTS = ("meters",)
"""The sections that are lists: theirs are put one after another."""

MAX_YAML_BYTES = 16_000_000
MAX_LINES_BYTES = 256_000_000
MAX_FILES = 1_000
MAX_PROBLEMS = 50
"""How many problems one error lists; reading ends there."""


class Loaded(NamedTuple):
    """A configuration, and what knows the places of its entries."""

    config: Config
    places: Places


def load(directory: Path, *, overrides: Overrides | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration in `directory`, valid, with every `${NAME}` checked but left as written. `environ` defaults
    to the process's.

    Raises ConfigError with all problems found, a line each: `file:line: path: what is wrong and what is allowed`.
    """
    return load_with_places(directory, overrides=overrides, environ=environ).config


def load_with_places(
    directory: Path,
    *,
    overrides: Overrides | None = None,
    environ: Mapping[str, str] | None = None,
    known: KnownKeys | None = None,
) -> Loaded:
    """The same with the place of every entry, so that doubts can be shown where they stand. `known`: `places.keys` of
    the load before."""
    collecting = gc.isenabled()
    gc.disable()  # a hundred thousand new objects and no garbage: collecting would only take time
    try:
        loading = _Loading(os.environ if environ is None else environ, known or {})
        return loading.load(directory, overrides or Overrides())
    finally:
        if collecting:
            gc.enable()


class _Enough(Exception):
    """More problems than anyone reads at once."""


class _Loading:
    """One load: what was read so far, and the problems so far."""

    def __init__(self, environ: Mapping[str, str], known: KnownKeys) -> None:
        self.environ = environ
        self.known = known
        self.places = Places()
        self.problems: list[str] = []
        self.shaper = Shaper(environ, lambda path, node, message: self._problem(node.place, path, message))
        self.unread = False
        """A YAML file could not be read, so what seems missing may be in it."""
        self.sections = {
            info.encode_name: Node([] if info.encode_name in _LISTS else {}, "", 0)
            for info in msgspec.structs.fields(Config)
        }
        self.places.root.value.update(self.sections)

    def load(self, directory: Path, overrides: Overrides) -> Loaded:
        try:
            config = self._config(directory, overrides)
        except _Enough:
            raise ConfigError("\n".join([*self.problems, "… and more"])) from None
        if self.problems:
            raise ConfigError("\n".join(self.problems))
        return Loaded(config, self.places)

    def _config(self, directory: Path, overrides: Overrides) -> Config:
        yaml_files, line_files = _files(directory)
        for path in yaml_files:
            self._read_yaml(path)
        config = self.shaper.build(Config, self.places.root, ())
        config = config or Config()
        for path in sorted(line_files, key=lambda path: not path.name.startswith("tenants")):  # keys name them
            self._read_lines(path, config)
        config = self._priced(self._overridden(config, overrides), directory)
        if not self.problems:  # what is missing a part would only bring more problems of the same cause
            for finding in review.problems(config):
                self._problem(self.places.find(finding.path), *finding)
        return config

    def _problem(self, place: str, path: KeyPath, message: str, other: KeyPath | None = None) -> None:
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Enough
        self.problems.append(self.places.line(place, path, message, other))

    def _read_yaml(self, path: Path) -> None:
        """Adds a file's entries to the sections."""
        root = self._parsed(path)
        if root is None or root.value is None:
            return
        if not isinstance(root.value, dict):
            self._problem(root.place, (), f"expected sections: {', '.join(self.sections)}")
            return
        for name, section in root.value.items():
            if name not in self.sections:
                self._problem(root.key_place(name), (name,), f"unknown section; {nearest(name, list(self.sections))}")
            elif isinstance(section.value, list if name in _LISTS else dict):
                self._merge(name, section)
            elif section.value is not None:
                self._problem(root.key_place(name), (name,), f"expected a {'list' if name in _LISTS else 'map'}")

    def _parsed(self, path: Path) -> Node | None:
        data = self._bytes(path, MAX_YAML_BYTES)
        try:
            if data is not None:
                return nodes.from_yaml(data.decode(), path.name)
        except UnicodeDecodeError as error:
            self._problem(f"{path.name}:{error.object[: error.start].count(10) + 1}", (), "not UTF-8 text")
        except Unreadable as error:
            self._problem(f"{path.name}:{error.line}", (), error.message)
        self.unread = True
        return None

    def _merge(self, name: str, section: Node) -> None:
        merged = self.sections[name]
        if isinstance(section.value, list):
            merged.value.extend(section.value)
            return
        for key, node in section.value.items():
            if key in merged.value:
                there = merged.key_place(key)
                self._problem(section.key_place(key), (name, key), f"it is there twice, first in {there}")
                continue
            merged.value[key] = node
            merged.key_lines[key] = section.key_lines[key]

    def _read_lines(self, path: Path, config: Config) -> None:
        """Adds the keys, models or tenants of a JSON-lines file to the configuration."""
        data = self._bytes(path, MAX_LINES_BYTES)
        if data is None:
            return
        if path.name.startswith("keys"):
            self._add_keys(path.name, data, config)
        elif path.name.startswith("models"):
            self._add_models(path.name, data, config)
        elif path.name.startswith("tenants"):
            self._add_tenants(path.name, data, config)
        else:
            told = "expected a name that begins with keys, models or tenants, such as keys-acme.jsonl"
            self._problem(path.name, (), told)

    def _add_keys(self, file: str, data: bytes, config: Config) -> None:
        known = self.sections["tenants"].value
        for line, tenant_name, name, key in lines.read_keys(data, file, self.shaper, self.known, self.places.keys):
            path = ("tenants", tenant_name, "keys", name)
            tenant = config.tenants.get(tenant_name)
            if tenant is None:
                if tenant_name not in known and not self.unread:
                    problem = f"there is no tenant {units.shown(tenant_name)}; {nearest(tenant_name, list(known))}"
                    self._problem(f"{file}:{line}", ("tenant",), problem)
            elif tenant.keys.setdefault(name, key) is not key:
                told = f"this key is there twice, first in {self.places.find(path)}"
                self._problem(f"{file}:{line}", path, told)
            else:
                self.places.lines[path] = file, line

    def _add_models(self, file: str, data: bytes, config: Config) -> None:
        for line, alias, model in lines.read_models(data, file, self.shaper):
            path = ("models", alias)
            if config.models.setdefault(alias, model) is not model:
                self._problem(f"{file}:{line}", path, f"it is there twice, first in {self.places.find(path)}")
            else:
                self.places.lines[path] = file, line

    def _add_tenants(self, file: str, data: bytes, config: Config) -> None:
        known = len(self.problems)
        for line, name, tenant in lines.read_tenants(data, file, self.shaper):
            path = ("tenants", name)
            if config.tenants.setdefault(name, tenant) is not tenant:
                self._problem(f"{file}:{line}", path, f"it is there twice, first in {self.places.find(path)}")
            else:
                self.places.lines[path] = file, line
        if len(self.problems) > known:
            self.unread = True  # a key may be of a tenant that could not be read

    def _priced(self, config: Config, directory: Path) -> Config:
        """The configuration with the prices that stand in the price map."""
        first = next(price_map.wanted(config), None)
        if first is None or self.problems:
            return config
        path = directory / price_map.FILE
        if not path.exists():
            where: KeyPath = ("models", first[0], "price")
            told = (
                f"there is no {price_map.FILE} beside this file: `lockgate prices import` writes it, or write a price"
            )
            self._problem(self.places.find(where), where, told)
            return config
        data = self._bytes(path, price_map.MAX_BYTES)
        if data is None:
            return config

        def problem(where: KeyPath, message: str) -> None:
            self._problem(self.places.find(where) if where else path.name, where, message)

        return price_map.apply(config, data, self.environ, problem)

    def _bytes(self, path: Path, most: int) -> bytes | None:
        if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
            self._problem(path.name, (), "not a file")
            return None
        try:
            with path.open("rb") as file:
                data = file.read(most + 1)
        except OSError as error:
            self._problem(path.name, (), f"cannot read this file: {error.strerror}")
            return None
        if len(data) > most:
            self._problem(
                path.name,
                (),
                f"larger than {most // 10**6} MB (thousands of keys, models or tenants go into .jsonl files)",
            )
            return None
        return data.removeprefix(b"\xef\xbb\xbf")

    def _overridden(self, config: Config, flags: Overrides) -> Config:
        """The configuration under the environment's settings and then under the flags'."""
        variables = {
            name: Node(nodes.scalar(text), variable, 0)
            for name, variable in VARIABLES.items()
            if (text := self.environ.get(variable))
        }
        given = {
            name: Node(value, f"--{name.replace('_', '-')}", 0)
            for name in VARIABLES
            if (value := getattr(flags, name)) is not None
        }
        # The place is the setting's name already: a path would only say it again.
        shaper = Shaper(self.environ, lambda _, node, message: self._problem(node.place, (), message))
        for layer in (variables, given):
            found = shaper.build(Overrides, Node(layer, "", 0), ())
            if found is not None:
                config = _apply(config, found)
                self._note(layer)
        return config

    def _note(self, layer: Mapping[str, Node]) -> None:
        for name, node in layer.items():
            section, field = (
                ("telemetry", name) if name == "log_level" else ("server", "bind" if name == "port" else name)
            )
            self.places.overridden[section, field] = node.file


def _files(directory: Path) -> tuple[list[Path], list[Path]]:
    """The folder's YAML and JSON-lines files, each in the order of their names; hidden files and all others are
    passed over."""
    try:
        files = sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ConfigError(f"{directory}: cannot read this folder: {error.strerror}") from error
    yaml_files = [path for path in files if path.suffix in (".yaml", ".yml")]
    line_files = [path for path in files if path.suffix == ".jsonl"]
    if not yaml_files:
        raise ConfigError(f"{directory}: no configuration here (no file ends with .yaml or .yml)")
    if len(yaml_files) + len(line_files) > MAX_FILES:
        raise ConfigError(f"{directory}: more than {MAX_FILES} files: is this the right folder?")
    return yaml_files, line_files


def _apply(config: Config, found: Overrides) -> Config:
    changes: dict[str, object] = {
        name: value for name in ("bind", "ops", "workers", "state_dir") if (value := getattr(found, name)) is not None
    }
    if found.port is not None:
        host = units.split_address(found.bind or config.server.bind).host
        changes["bind"] = str(units.Address(host, found.port))
    telemetry = config.telemetry
    if found.log_level is not None:
        telemetry = msgspec.structs.replace(telemetry, log_level=found.log_level)
    server = msgspec.structs.replace(config.server, **changes)
    return msgspec.structs.replace(config, server=server, telemetry=telemetry)
