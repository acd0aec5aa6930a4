"""The place where files of records are brought to: a folder, or any store that fsspec knows (`s3://…`, `gs://…`).

Files are written once, under names that nobody else uses, and never changed: so bringing one again, after a kill, is
the same as having brought it. Whatever goes wrong there is a LakeAway, and the file stays where it was.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.store import manifest

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class LakeAway(OSError):
    """The place does not take files, or does not answer. Says where and why."""


def folder_of(at: str) -> Path | None:
    """The folder of this machine that is meant; None: a store elsewhere."""
    if at.startswith("file://"):
        return Path(at.removeprefix("file://"))
    return None if "://" in at else Path(at)


def address(at: str, name: str) -> str:
    """Of a file there, as DuckDB takes it."""
    folder = folder_of(at)
    return f"{at.rstrip('/')}/{name}" if folder is None else str(folder / name)


def open_to(database: DuckDBPyConnection, at: str) -> None:
    """Lets a database read there. Raises ImportError, LakeAway."""
    if folder_of(at) is None:
        system = _system(at)
        protocols = [system.protocol] if isinstance(system.protocol, str) else system.protocol
        if not any(database.filesystem_is_registered(one) for one in protocols):
            database.register_filesystem(system)


def bring(path: Path, at: str, name: str) -> None:
    """Copies a file there; it is durable when this returns. Raises ImportError, LakeAway."""
    folder = folder_of(at)
    if folder is None:
        _elsewhere(at, lambda system: _put(system, path, address(at, name)))
        return
    target = folder / name
    draft = target.with_suffix(".new")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(path, draft)
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(target)
        manifest.sync_folder(target.parent)
    except OSError as error:
        raise LakeAway(f"cannot write {target}: {error}") from error


def remove(at: str, name: str) -> None:
    """Removes a file there, if it is there. Raises ImportError, LakeAway."""
    folder = folder_of(at)
    if folder is None:
        _elsewhere(at, lambda system: _rm(system, address(at, name)))
        return
    try:
        (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise LakeAway(f"cannot remove {folder / name}: {error}") from error


def _put(system: Any, path: Path, where: str) -> None:
    system.makedirs(where.rpartition("/")[0], exist_ok=True)
    system.put_file(str(path), where)


def _rm(system: Any, where: str) -> None:
    try:
        system.rm_file(where)
    except FileNotFoundError:
        pass


def _elsewhere(at: str, work: Any) -> None:
    system = _system(at)
    try:
        work(system)
    except Exception as error:  # each store has its own, and all mean the same here
        raise LakeAway(f"cannot write {at}: {type(error).__name__}: {error}") from error


def _system(at: str) -> Any:
    import fsspec

    try:
        return fsspec.url_to_fs(at)[0]
    except ImportError:
        raise
    except Exception as error:
        raise LakeAway(f"cannot open {at}: {type(error).__name__}: {error}") from error
