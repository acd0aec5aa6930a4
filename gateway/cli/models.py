"""`lockgate models`: classic models as folders that say what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli import admin_client, admin_options, admin_table
from gateway.cli.admin_client import Client
from gateway.cli.admin_table import Column

if TYPE_CHECKING:
    from gateway.backends.model_files import ModelFiles
    from gateway.wire.infer.request import TensorSpec


COLUMNS = (
    Column("model", admin_table.text("alias")),
    Column("kind", admin_table.text("kind")),
    Column("backend", admin_table.text("backend")),
    Column("served as", admin_table.text("served_model"), cut=True),
    Column("fallback", admin_table.words("fallback"), cut=True),
    Column("priced", lambda item: "yes" if item["priced"] else "no"),
    Column("meters", admin_table.meters, cut=True),
    Column("in", admin_table.source),
)


@click.group(
    cls=admin_options.Group,
    short_help="List the gateway's models; package classic (ONNX) models, and show what is in a package.",
)
def models() -> None:
    """List the gateway's models; package classic (ONNX) models, and show what is in a package."""


@models.command(name="list", short_help="List the gateway's models.")
@click.argument("prefix", default="")
@admin_options.listing
@admin_client.options
def list_(client: Client, prefix: str, limit: int, form: str) -> None:
    """Lists the models whose alias begins with PREFIX."""
    items, more = client.pages("models", limit=limit, prefix=prefix)
    admin_options.show_list(items, COLUMNS, form, "model", client, more=more)


@models.command(short_help="Make a model folder: file, signature, schema, note, digests.")
@click.argument("model", metavar="MODEL.onnx", type=click.Path(path_type=Path))
@click.option("--name", required=True, metavar="NAME", help="What the model is called.")
@click.option(
    "--schema",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="YAML: what each column may hold, as under `schema` in a configuration.",
)
@click.option("--note", default="", metavar="TEXT", help="How values are prepared before the model sees them.")
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="The folder to make.")
def package(model: Path, name: str, schema: Path | None, note: str, out: Path) -> None:
    """Makes the folder DIR from an ONNX file, after loading it once and comparing the schema with its signature."""
    from gateway.backends import model_files
    from gateway.errors import ConfigError

    lacking = model_files.missing(str(model))
    if lacking is not None:
        raise ConfigError(lacking)
    from gateway.backends import model_package
    from gateway.telemetry.release import version

    columns = {} if schema is None else model_package.read_schema(schema)
    model_package.package(model, out, name=name, schema=columns, note=note, versions={"lockgate": version()})
    _show(str(out))


@models.command(short_help="Show what a model holds, after checking its digests.")
@click.argument("path", metavar="DIR")
def show(path: str) -> None:
    """Says what the packaged folder (or .onnx file) DIR holds; exit code 1 when a file is not what its manifest
    says."""
    _show(path)


def _show(path: str) -> None:
    from gateway.backends import model_files

    for line in _lines(model_files.open_model(path)):
        click.echo(line)


def _lines(found: ModelFiles) -> Iterator[str]:
    manifest, head = found.manifest, found.head
    if manifest is not None:
        yield f"name           {manifest.name}"
    yield f"digest         {found.digest}"
    if manifest is None:
        opsets = ", ".join(f"{domain} {version}" for domain, version in head.opsets.items())
        yield f"made with      {head.producer or 'unknown'}; opsets {opsets}; IR version {head.ir_version}"
        yield "no manifest: package it to keep its signature, its schema and a note (lockgate models package)"
        return
    for name, digest in manifest.files.items():
        yield f"file           {name}  {digest}"
    for spec in manifest.inputs:
        yield f"input          {_tensor(spec)}"
    for spec in manifest.outputs:
        yield f"output         {_tensor(spec)}"
    for column, rules in manifest.schema.items():
        said = ", ".join(f"{key} {value}" for key, value in _said(rules))
        yield f"column         {column}: {said or 'any value, no nulls'}"
    yield f"preprocessing  {manifest.preprocessing or 'nothing noted'}"
    for what, version in manifest.made_with.items():
        yield f"made with      {what} {version}"


def _tensor(spec: TensorSpec) -> str:
    shape = ", ".join("any" if size == -1 else str(size) for size in spec.shape)
    return f"{spec.name}: {spec.datatype} [{shape}]"


def _said(rules: object) -> Iterator[tuple[str, object]]:
    import msgspec

    for info in msgspec.structs.fields(type(rules)):  # type: ignore[arg-type]
        value = getattr(rules, info.name)
        if value != info.default:
            yield info.name, ", ".join(map(str, value)) if isinstance(value, tuple) else value
