"""Packaging a classic model: a folder with its file, its signature, its schema and the digest of every file. (I/O)"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import onnxruntime

from gateway.backends import classic, model_files, onnx_file
from gateway.backends.model_files import FORMAT, MANIFEST, MODEL, Manifest, ModelFiles
from gateway.config import nodes, review_classic
from gateway.config.leaves import ColumnName
from gateway.config.model import Column
from gateway.config.nodes import Unreadable
from gateway.config.places import Places
from gateway.config.shape import Shaper
from gateway.errors import ConfigError
from gateway.policy import columns


def package(
    source: Path, out: Path, *, name: str, schema: Mapping[str, Column], note: str, versions: Mapping[str, str]
) -> Manifest:
    """Writes the folder `out`, whole or not at all, and returns its manifest. `versions` are told in it beside those
    this finds.

    Raises ConfigError, naming the file, for a model that would not load, a schema that does not fit it, and a folder
    that is there already.
    """
    if out.exists():
        raise ConfigError(f"{out}: it is there already; name a new folder, or remove it")
    model = model_files.read_file(source)
    head = onnx_file.read_head(model, str(source))
    for other in head.external:
        model_files.file_digest(source.parent / PurePosixPath(other))  # raises for one that is not there
    session = classic.session_of(ModelFiles(model, source, "", head, None), name)
    if schema:
        columns.compile(schema, session.signature.inputs)
    draft = out.parent / f".{out.name}.{secrets.token_hex(4)}"
    try:
        draft.mkdir(parents=True)
        _copy(model, draft / MODEL)
        for other in head.external:
            target = draft / PurePosixPath(other)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.parent / PurePosixPath(other), target)
        manifest = Manifest(
            format=FORMAT,
            name=name,
            files={each: model_files.file_digest(draft / each) for each in (MODEL, *head.external)},
            inputs=session.signature.inputs,
            outputs=session.signature.outputs,
            schema=dict(schema),
            preprocessing=note,
            made_with={
                "producer": head.producer,
                "ir_version": str(head.ir_version),
                "opsets": ", ".join(f"{domain} {version}" for domain, version in head.opsets.items()),
                "onnxruntime": onnxruntime.__version__,
                **versions,
            },
        )
        _copy(model_files.encode_manifest(manifest), draft / MANIFEST)
        draft.rename(out)
    except OSError as error:
        raise ConfigError(f"{error.filename or out}: {error.strerror}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return manifest


def read_schema(path: Path) -> dict[str, Column]:
    """The columns in a YAML or JSON file, written as under `schema` in a configuration. Raises ConfigError with every
    problem, each with its line."""
    places = Places()
    problems: list[str] = []
    shaper = Shaper({}, lambda where, node, message: problems.append(places.line(node.place, where, message)))
    try:
        places.root = nodes.from_yaml(path.read_text(encoding="utf-8"), path.name)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read this file: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text") from error
    except Unreadable as error:
        raise ConfigError(f"{path.name}:{error.line}: {error.message}") from error
    found: dict[str, Column] | None = shaper.build(dict[ColumnName, Column], places.root, ())
    if found is not None:
        problems += [places.show(finding) for finding in review_classic.schema((), found)]
    if problems:
        raise ConfigError("\n".join(problems))
    return found or {}


def _copy(data: bytes, path: Path) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
        file.write(data)
