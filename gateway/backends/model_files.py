"""A classic model's files: found, read whole, and checked against their digests before anything looks into them. (I/O)

A model is a bare `.onnx` file, or a folder with a manifest (`lockgate models package` writes both):

    model.onnx       the model; weights that it keeps in other files lie beside it
    manifest.json    `Manifest`: the digest of every file, the signature, the schema, how the model came to be

The digest of a model is `sha256:` and the SHA-256 of its file; of one with other files, of the lines
`<digest>  <name>` of all of them, sorted by name, as `sha256sum` prints them.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import msgspec

from gateway.backends import onnx_file, packaged_files
from gateway.backends.onnx_file import Head
from gateway.backends.packaged_files import PackagedFile
from gateway.config.model import CLASSIC_MODELS, Column
from gateway.config.snapshot import ClassicVersion
from gateway.errors import ConfigError
from gateway.wire.infer.request import TensorSpec

MODEL = "model.onnx"
MANIFEST = "manifest.json"
FORMAT = 1
INSTALL = "pip install 'lockgate[classic]'"
INSTALL_MAGIKA = "pip install 'lockgate[embedded]'"
MAX_BYTES = 2**31
"""The largest model: a protocol buffer holds no more."""

_MAGIKA = PackagedFile(
    "magika", "models/standard_v3_3/model.onnx", "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c"
)


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a packaged folder says of its model. `files` has the digest (`sha256:…`) of every other file in it;
    `made_with` the versions of what wrote and packaged the model."""

    format: int
    name: str
    files: dict[str, str]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    schema: dict[str, Column] = {}
    preprocessing: str = ""
    made_with: dict[str, str] = {}


class ModelFiles(msgspec.Struct, frozen=True):
    """A model, read and checked. `model` is its bytes, `path` where they lie (weights in other files lie beside)."""

    model: bytes
    path: Path
    digest: str
    head: Head
    manifest: Manifest | None


def missing(written: str) -> str | None:
    """What has to be installed before the model of this path or name can be served here, with the command; None for
    nothing."""
    lacking = [name for name in ("numpy", "onnxruntime") if importlib.util.find_spec(name) is None]
    if lacking:
        need, install = " and ".join(lacking), INSTALL
    elif written == "magika" and packaged_files.located(_MAGIKA) is None:
        need, install = _MAGIKA.package, INSTALL_MAGIKA
    else:
        return None
    return f"the classic model {written} needs {need}, not installed here. Install with:\n    {install}"


def open_model(written: str) -> ModelFiles:
    """The model that a configuration means by this path or known name.

    Raises ConfigError, naming the file, for one that is missing, cut, no ONNX, or not what its manifest (or the table
    of known models) says.
    """
    if written == "magika":
        lacking = missing(written)
        if lacking is not None:
            raise ConfigError(lacking)
        return _bare(packaged_files.checked(_MAGIKA))
    path = demo_folder() / "classic" / "churn" if written in CLASSIC_MODELS else Path(written)
    return _folder(path) if path.is_dir() else _bare(path)


def read_checked(version: ClassicVersion) -> ModelFiles:
    """The files of a version as they were when the configuration was loaded. Raises ConfigError, also when they are
    others now."""
    found = open_model(version.path)
    expect(found, version.digest)
    return found


def expect(found: ModelFiles, digest: str) -> None:
    """Raises ConfigError unless the files have this digest; an empty one expects nothing."""
    if digest and found.digest != digest:
        raise ConfigError(f"{found.path}: its digest is {found.digest}, expected {digest}")


def digest_of(files: Mapping[str, str]) -> str:
    """The digest of a model whose files (by name) have these."""
    if len(files) == 1:
        return next(iter(files.values()))
    lines = "".join(f"{files[name].removeprefix('sha256:')}  {name}\n" for name in sorted(files))
    return _digest(lines.encode())


def file_digest(path: Path) -> str:
    """`sha256:…` of a file. Raises ConfigError."""
    try:
        with path.open("rb") as stream:
            return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read this file: {error.strerror}") from error


def demo_folder() -> Path:
    """The demo's files: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).parent.parent
    packed, checkout = package / "configs" / "demo", package.parent / "configs" / "demo"
    return packed if packed.is_dir() else checkout


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest's file."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def _bare(path: Path) -> ModelFiles:
    model = read_file(path)
    head = onnx_file.read_head(model, str(path))
    if head.external:
        raise ConfigError(
            f"{path}: it keeps weights in other files ({', '.join(head.external[:3])}): package it, so that each has "
            "its digest (lockgate models package)"
        )
    return ModelFiles(model, path, _digest(model), head, None)


def _folder(folder: Path) -> ModelFiles:
    manifest = _manifest(folder / MANIFEST)
    for name, expected in manifest.files.items():
        if name != MODEL:
            _same(folder / name, file_digest(folder / name), expected)
    path = folder / MODEL
    model = read_file(path)
    _same(path, _digest(model), manifest.files[MODEL])
    head = onnx_file.read_head(model, str(path))
    for name in head.external:
        if str(PurePosixPath(name)) not in manifest.files:
            raise ConfigError(f"{path}: it keeps weights in {name}, which {MANIFEST} does not name: package it again")
    return ModelFiles(model, path, digest_of(manifest.files), head, manifest)


def _manifest(path: Path) -> Manifest:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise ConfigError(f"{path.parent}: no model here: {MANIFEST} is missing (lockgate models package)") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot read this file: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path}: not a manifest: {error}") from error
    if found.format != FORMAT:
        raise ConfigError(f"{path}: a manifest of format {found.format}; this version reads format {FORMAT}")
    if MODEL not in found.files:
        raise ConfigError(f"{path}: it does not name {MODEL}")
    for name in found.files:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ConfigError(f"{path}: it names a file outside its folder")
    return found


def _same(path: Path, digest: str, expected: str) -> None:
    if digest != expected:
        raise ConfigError(f"{path}: its digest is {digest}, its manifest expects {expected}")


def read_file(path: Path) -> bytes:
    """A whole file. Raises ConfigError."""
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
            raise ConfigError(f"{path}: neither a file nor a folder")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read this file: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than 2 GiB: keep its weights in other files and package it")
    return data


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
