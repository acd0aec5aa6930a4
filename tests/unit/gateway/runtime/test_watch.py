"""gateway.runtime.watch"""

from __future__ import annotations

import os
from pathlib import Path

from gateway.runtime.watch import fingerprint


def test_the_same_files_have_the_same_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("models: {}\n")
    assert fingerprint(tmp_path) == fingerprint(tmp_path)


def test_a_file_that_changes_appears_goes_or_is_replaced_changes_it(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    seen = {fingerprint(tmp_path)}
    path.write_text("models: {}\n")
    seen.add(fingerprint(tmp_path))
    path.write_text("models: {}\n\n")
    seen.add(fingerprint(tmp_path))
    status = path.stat()
    (tmp_path / "b").write_text("models: {}\n\n")
    os.utime(tmp_path / "b", ns=(status.st_atime_ns, status.st_mtime_ns))
    (tmp_path / "b").replace(path)  # same size, same time, another file
    seen.add(fingerprint(tmp_path))
    assert len(seen) == 4
    path.unlink()
    assert fingerprint(tmp_path) in seen


def test_a_price_map_that_is_imported_again_counts(tmp_path: Path) -> None:
    before = fingerprint(tmp_path)
    (tmp_path / "prices.json").write_text("{}")
    assert fingerprint(tmp_path) != before


def test_files_that_are_no_configuration_do_not_count(tmp_path: Path) -> None:
    for name in (".a.yaml.swp", ".hidden.yaml", "a.yaml~", "README.md"):
        (tmp_path / name).write_text("x")
    assert fingerprint(tmp_path) == frozenset()


def test_a_link_is_what_it_points_to_as_kubernetes_swaps_it(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.yaml").write_text("models: {}\n")
    (folder / "data").symlink_to(tmp_path / "v1")
    (folder / "a.yaml").symlink_to(folder / "data" / "a.yaml")
    before = fingerprint(folder)
    (folder / "new").symlink_to(tmp_path / "v2")
    (folder / "new").replace(folder / "data")
    assert fingerprint(folder) != before


def test_what_cannot_be_read_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "nothing")
    assert fingerprint(tmp_path) == frozenset()
    assert fingerprint(tmp_path / "nowhere") == frozenset()
