"""What a configuration may ask of the check process."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.runtime.checking import asked
from tests.support.gateway import config
from tests.support.screening import HIDES, JUDGES, PUTS_BACK


@pytest.mark.parametrize(
    ("chain", "keeps", "needs"),
    [
        ([JUDGES], False, {("classifier", "injection")}),
        ([HIDES], True, set()),
        ([PUTS_BACK], False, set()),
        ([PUTS_BACK | {"mode": "observe"}], True, set()),
        ([PUTS_BACK], True, {("masks", "")}),
        ([PUTS_BACK, JUDGES], True, {("masks", ""), ("classifier", "injection")}),
    ],
)
def test_masks_are_kept_where_they_are_undone_and_a_backend_keeps_answers(
    chain: list[dict[str, Any]], keeps: bool, needs: set[tuple[str, str]]
) -> None:
    found = config({"b": ["http://127.0.0.1:1"]}, backend={"keeps_responses": keeps}, chain=chain)
    assert asked(found) == needs
