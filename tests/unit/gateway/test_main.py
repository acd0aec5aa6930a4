from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_a_source_tree_runs_without_being_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "keys", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Usage: lockgate keys")
