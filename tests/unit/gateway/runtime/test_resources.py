"""gateway.runtime.resources"""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from gateway.runtime.resources import cpu_quota, raise_open_files_limit, usable_cpus

ALL = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("written", "cpus"),
    [("50000 100000", 0.5), ("200000 100000", 2.0), ("max 100000", None), ("", None), ("0 0", None)],
)
def test_the_quota_of_a_version_2_group_is_in_cpu_max(tmp_path: Path, written: str, cpus: float | None) -> None:
    (tmp_path / "cpu.max").write_text(written)
    assert cpu_quota(tmp_path) == cpus


@pytest.mark.parametrize(("quota", "cpus"), [("150000", 1.5), ("-1", None)])
def test_the_quota_of_a_version_1_group_is_in_two_files(tmp_path: Path, quota: str, cpus: float | None) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert cpu_quota(tmp_path) == cpus


def test_without_a_group_every_processor_granted_counts(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path) == ALL


def test_a_small_quota_is_one_worker_and_a_large_one_no_more_than_there_are(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("10000 100000")
    assert usable_cpus(tmp_path) == 1
    (tmp_path / "cpu.max").write_text("900000000 100000")
    assert usable_cpus(tmp_path) == ALL


def test_the_soft_limit_of_open_files_becomes_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 512), hard))
        assert raise_open_files_limit() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
