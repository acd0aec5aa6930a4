"""GCC's OpenMP library for llama.cpp, where the machine has none.

The wheel `xllamacpp` asks the system for libgomp.so.1, which a machine without a compiler often lacks. The wheel
`pykdtree` carries one under another name; nothing else of it is used. The dynamic loader reads its search path only
when a process starts, so it is started again, with one in which that file bears the name that is asked for.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

NAME = "libgomp.so.1"
ADVICE = f"llama.cpp needs {NAME}: install Debian's libgomp1, or pip install --no-deps pykdtree"

_FOLDER = "LOCKGATE_OPENMP_FOLDER"  # set for the second start only


def provide() -> None:
    """Returns when the library can be loaded. Else starts this process again (same pid, same arguments) so that it can;
    SystemExit with advice where there is no library, or the second start did not help. Call it first in `main`."""
    folder = os.environ.pop(_FOLDER, None)
    found = _loads()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)  # loaded or useless: either way no longer needed
    if found:
        return
    library = bundled()
    if library is None or folder is not None:
        sys.exit(ADVICE)
    again = search_path(library, os.environ)
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], again)


def bundled() -> Path | None:
    """The library inside the wheel `pykdtree`; None when that is not installed."""
    spec = importlib.util.find_spec("pykdtree")
    folders = (
        [Path(folder).with_name("pykdtree.libs") for folder in (spec.submodule_search_locations or ())] if spec else []
    )
    return next((path for folder in folders for path in sorted(folder.glob("libgomp*.so*"))), None)


def search_path(library: Path, environment: os._Environ[str] | dict[str, str]) -> dict[str, str]:
    """`environment` for a process that finds `library` under the name that is asked for, in a new folder of its own."""
    folder = tempfile.mkdtemp(prefix="lockgate-openmp-")
    Path(folder, NAME).symlink_to(library)
    before = environment.get("LD_LIBRARY_PATH")
    return {
        **environment,
        _FOLDER: folder,
        "LD_LIBRARY_PATH": f"{folder}{os.pathsep}{before}" if before else folder,
    }


def _loads() -> bool:
    try:
        ctypes.CDLL(NAME)
    except OSError:
        return False
    return True
