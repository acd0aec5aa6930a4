"""A real load is replayed: whatever can be derived from the records comes out as it was decided."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.store.record_query import Query
from gateway.store.record_read import records
from tests.support.gateway_process import serving
from tests.support.mixed_load import configuration, drive, upstreams

REQUESTS = 10_000
DECISIONS = {
    *("caller", "project", "model", "downgrade", "route", "fallbacks", "chain", "screened", "refused", "code"),
    *("cap", "held", "clamped", "endpoint", "following", "reason", "usage", "charge"),
}
UNKNOWN = {"bounds", "caller", "verdicts", "usage", "held", "clamped", "refused", "reason", "following"}
"""Decisions of which some cannot be derived: of the last three, those where a race took what was needed."""
HAPPENED = ("downgraded:", "fallback:", "refused:")
"""What meters and failures made of requests, as the records' actions begin."""


@pytest.mark.timeout(600)
def test_every_decision_of_a_load_comes_out_again(tmp_path: Path) -> None:
    with upstreams(tmp_path) as urls, serving(tmp_path, configuration(urls)) as gateway:
        asyncio.run(drive(gateway, REQUESTS))
        gateway.stop()
    kept = list(records(tmp_path / "state", Query()))
    assert len(kept) > REQUESTS * 0.9  # who leaves at once, or finds no worker, has none
    assert {record.outcome for record in kept} >= {"answered", "refused", "crashed"}
    for word in HAPPENED:
        assert sum(word in record.action for record in kept) > 5, word
    for word in (":mask:", ":block:"):
        assert sum(word in record.verdicts for record in kept) > 5, word
    result = CliRunner().invoke(main, ["replay", "--since", "1d", "--json", "--state-dir", str(tmp_path / "state")])
    told = json.loads(result.stdout)
    assert (told["differences"], told["missing_snapshots"], result.exit_code) == ([], {}, 0)
    assert told["records"] == len(kept)
    assert set(told["equal"]) >= DECISIONS
    assert {each["decision"] for each in told["not_derived"]} <= UNKNOWN
