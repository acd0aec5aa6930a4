"""How llama.cpp gets its OpenMP library on a machine that has none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.backends import openmp


def test_the_wheel_that_carries_the_library_is_located_and_not_imported() -> None:
    library = openmp.bundled()
    if library is None:
        pytest.skip("the extra `embedded` is not installed")
    assert library.name.startswith("libgomp")
    assert "pykdtree" not in sys.modules


def test_a_process_with_the_search_path_finds_the_library_by_its_plain_name(tmp_path: Path) -> None:
    library = openmp.bundled()
    if library is None:
        pytest.skip("the extra `embedded` is not installed")
    environment = openmp.search_path(library, {"LD_LIBRARY_PATH": str(tmp_path)})
    folder, before = environment["LD_LIBRARY_PATH"].split(":")
    assert before == str(tmp_path)
    assert Path(folder, openmp.NAME).resolve() == library
    assert Path(folder).stat().st_mode & 0o777 == 0o700
    code = (
        "import ctypes, os; from gateway.backends import openmp; openmp.provide(); "
        "print([line.split()[-1] for line in open('/proc/self/maps') if 'libgomp' in line][0]); "
        "print(os.path.exists(os.environ['LD_LIBRARY_PATH'].split(':')[0]))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    loaded, folder_is_left = said.stdout.split()
    assert Path(loaded).name == library.name
    assert folder_is_left == "False"
