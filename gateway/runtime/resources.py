"""What the machine grants this process: open files and processor time."""

from __future__ import annotations

import math
import os
import resource
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")


def raise_open_files_limit() -> int:
    """Raises the soft limit of open files to the hard one (children inherit it); returns what holds now.

    Two descriptors per running request (caller and backend) pass the usual soft limit of 1,024 early.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):  # not granted after all: serve with what there is
        return soft
    return hard


def usable_cpus(cgroup_root: Path = CGROUP_ROOT) -> int:
    """Processors this process may really use: its affinity, lowered to the cgroup's quota rounded up; at least 1.

    A container limited to 2 of 64 processors sees 64; sixty-four workers in it would only throttle each other.
    """
    granted = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    quota = cpu_quota(cgroup_root)
    return max(1, granted if quota is None else min(granted, math.ceil(quota)))


def cpu_quota(cgroup_root: Path = CGROUP_ROOT) -> float | None:
    """The cgroup's limit in processors (version 2 `cpu.max`, else version 1 `cpu.cfs_*`), None when there is none."""
    quota_and_period = _words(cgroup_root / "cpu.max")
    if not quota_and_period:
        cpu = cgroup_root / "cpu"
        quota_and_period = _words(cpu / "cpu.cfs_quota_us") + _words(cpu / "cpu.cfs_period_us")
    match quota_and_period:
        case [quota, period] if quota.isdecimal() and period.isdecimal() and int(quota) > 0 and int(period) > 0:
            return int(quota) / int(period)
        case _:  # "max", "-1" (no limit), or no cgroup in sight
            return None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return []
