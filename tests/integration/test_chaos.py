"""The chaos suite in short: two workers, SQLite, a killed worker and a frozen authority. `make chaos` is the whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import suite


@pytest.mark.timeout(180)
def test_nothing_is_overshot_lost_or_given_away_while_a_worker_dies_and_the_authority_stands_still(
    tmp_path: Path,
) -> None:
    account = suite.perform(suite.short(seed=7), tmp_path)
    assert account.wrong == []
    assert not account.skipped
    assert account.verdicts["overshoot"].figures["overshoot"] == 0
    assert account.verdicts["recorded"].figures["requests crashed"] > 0
