"""Files out of installed packages."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from gateway.backends import packaged_files
from gateway.backends.packaged_files import PackagedFile
from gateway.errors import ConfigError


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in a package that would fail if it were imported."""
    package = tmp_path / "packaged_data"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "data.bin").write_bytes(b"data")
    monkeypatch.syspath_prepend(str(tmp_path))
    return package / "data.bin"


FILE = PackagedFile("packaged_data", "data.bin", hashlib.sha256(b"data").hexdigest())


def test_a_file_is_found_without_importing_its_package(packaged: Path) -> None:
    assert packaged_files.located(FILE) == packaged_files.checked(FILE) == packaged
    assert "packaged_data" not in sys.modules


def test_a_package_that_is_not_installed_has_no_file() -> None:
    assert packaged_files.located(PackagedFile("no_such_package", "x", "")) is None


def test_a_file_that_is_gone_or_is_another_is_refused(packaged: Path) -> None:
    packaged.write_bytes(b"other data")
    with pytest.raises(ConfigError, match="not the file that was tried"):
        packaged_files.checked(FILE)
    packaged.unlink()
    with pytest.raises(ConfigError, match=r"data\.bin of the package packaged_data is gone"):
        packaged_files.checked(FILE)
