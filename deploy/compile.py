"""Compiles the modules of the request's path in place (`gateway.compiled` says which and why): `make compiled`.

Does nothing when what is there was made of these sources. Without a C compiler or Python's headers it says so and
leaves everything to run from source: exit code 0, or 1 with `--strict`. What is compiled is never committed; `make
clean` and `--clean` remove it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from gateway import compiled  # noqa: E402

SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
OPTIONS = ["-O2", "-g0", "-w"]
SCRIPT = """\
from mypyc.build import mypycify
from setuptools import Distribution

how = dict(opt_level="2", debug_level="0", multi_file=True, group_name={group!r}, target_dir={folder!r})
build = Distribution(dict(ext_modules=mypycify({sources!r}, **how))).get_command_obj("build_ext")
build.inplace, build.parallel, build.build_temp, build.build_lib = not {library!r}, 2, {folder!r}, {library!r}
build.ensure_finalized()
build.run()
"""


def found() -> list[Path]:
    """Everything that was compiled in place, for whatever Python."""
    return [*ROOT.glob("gateway/**/*.so"), *ROOT.glob(f"*{compiled.SHARED}.*.so"), *ROOT.glob("gateway/*.stamp")]


def clean() -> None:
    for path in found():
        path.unlink()


def missing() -> str:
    """What compiling needs and this machine has not; "" when it has all."""
    if not any(shutil.which(name) for name in (os.environ.get("CC", ""), "cc", "gcc", "clang") if name):
        return "there is no C compiler (cc, gcc or clang)"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "Python's headers are not installed (python3-dev)"
    return ""


def compile_all() -> None:
    """Raises subprocess.CalledProcessError with what mypyc or the compiler said."""
    compile_group("gateway", compiled.MODULES)
    compile_group("guardrails", compiled.GUARDRAILS, str(compiled.folder()))


def compile_group(group: str, modules: Sequence[str], library: str = "") -> None:
    """Modules that know each other's insides, in place or into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "setup.py"
        sources = [str(compiled.source(module).relative_to(ROOT)) for module in modules]
        script.write_text(SCRIPT.format(sources=sources, group=group, folder=folder, library=library))
        command = [sys.executable, script]
        environment = os.environ | {"CFLAGS": " ".join(OPTIONS), compiled.SWITCH: "0"}
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)


def main() -> int:
    if "--clean" not in sys.argv and compiled.in_use():
        return 0
    clean()
    if "--clean" in sys.argv:
        return 0
    why_not = missing()
    compiled_of = compiled.fingerprint()  # before: a source that changes meanwhile is not what was compiled
    if not why_not:
        sys.stderr.write(
            f"compiling {len(compiled.MODULES) + len(compiled.GUARDRAILS)} modules, which takes a minute…\n"
        )
        try:
            compile_all()
        except subprocess.CalledProcessError as error:
            clean()
            why_not = f"compiling failed:\n{error.stdout[-2000:]}{error.stderr[-2000:]}"
    if why_not:
        sys.stderr.write(f"Lockgate will run from source, about a quarter slower: {why_not}\n")
        return 1 if "--strict" in sys.argv else 0
    (ROOT / "gateway" / compiled.STAMP).write_text(compiled_of)
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
