"""From a version of a classic model to a session that is ready for calls: its files checked, its schema compared with
its signature.

Importing this imports numpy and ONNX Runtime: only a process that runs classic models does.
"""

from __future__ import annotations

import re

import onnxruntime

from gateway.backends import model_files
from gateway.backends.model_files import ModelFiles
from gateway.backends.onnx import Session
from gateway.config.snapshot import ClassicVersion
from gateway.errors import ConfigError
from gateway.policy import columns
from gateway.wire.infer import judging as infer_judging

_NEWER_OPSET = re.compile(r"Opset (\d+) is under development")
_NEWER_FORMAT = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")


def load(version: ClassicVersion) -> Session:
    """A session for this version; takes as long as its file is large. Raises ConfigError, naming the file and the
    reason."""
    found = model_files.read_checked(version)
    session = session_of(found, f"{version.alias} (version {version.version})")
    if version.columns:
        try:
            session.rows = columns.compile(version.columns, session.signature.inputs)
        except ConfigError as error:
            raise ConfigError(f"{found.path}: {error}") from error
    if version.judges and infer_judging.input_of(session.signature.inputs) is None:
        told = ", ".join(f"{spec.name} {spec.datatype} {list(spec.shape)}" for spec in session.signature.inputs)
        raise ConfigError(f"{found.path}: a check asks it, and {infer_judging.WHAT_IT_TAKES}; this one takes {told}")
    return session


def session_of(found: ModelFiles, name: str) -> Session:
    """A session on files that were read; `name` is what callers see in errors. Raises ConfigError, naming the file."""
    data = found.path.parent if found.head.external else None
    try:
        return Session(found.model, name, data=data)
    except ConfigError as error:
        reason = str(error).removeprefix(f"{name}: ")
        raise ConfigError(f"{found.path}: {_explained(reason)}") from error


def _explained(reason: str) -> str:
    """What to do, where ONNX Runtime only says what it does not know."""
    runtime = f"ONNX Runtime {onnxruntime.__version__}"
    cure = "convert it for an older opset, or install a newer onnxruntime"
    if newer := _NEWER_OPSET.search(reason):
        return f"it is written for opset {newer[1]}, which is newer than {runtime}: {cure}"
    if newer := _NEWER_FORMAT.search(reason):
        return f"its format (IR version {newer[1]}) is newer than {runtime} reads (up to {newer[2]}): {cure}"
    return reason
