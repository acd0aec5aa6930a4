"""The previous major version of the official client, which many still run, gets the same answers as the current one."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.contract import kinds
from tests.contract.compare import disagreements
from tests.contract.upstreams import KINDS, OWN_CASES, Servers
from tests.support.gateway_process import ROOT

PYTHON = ROOT / ".venv-openai-previous/bin/python"
LIMIT_S = 300.0


def with_previous(servers: Servers, kind: str, cases: list[str]) -> dict[str, Any]:
    """The results of these cases through the gateway, asked with the previous major version in its own environment."""
    if not Path(PYTHON).exists():
        pytest.skip("the environment of the previous openai package is missing (`make setup-previous`)")
    target = json.dumps(asdict(servers.pair(kind).through))
    command = [str(PYTHON), "-W", "error", "-m", "tests.contract.cases", target, *cases]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr[-4000:]
    results: dict[str, Any] = json.loads(done.stdout)
    return results


@pytest.mark.openai_previous
@pytest.mark.parametrize("kind", kinds.each())
def test_the_previous_version_gets_through_the_gateway_what_the_current_one_gets_directly(
    servers: Servers, kind: str
) -> None:
    kinds.require(kind)
    cases = KINDS[kind].cases()
    previous = with_previous(servers, kind, cases)
    # JSON turned the keys of a result into text, so the other side takes the same way.
    current = json.loads(json.dumps({case: servers.result(kind, case, through=False) for case in cases}))
    found = {case: disagreements(current[case], previous[case]) for case in cases}
    assert {case: lines for case, lines in found.items() if lines} == {}


@pytest.mark.openai_previous
def test_the_previous_version_reads_what_the_gateway_answers_itself(servers: Servers) -> None:
    previous = with_previous(servers, "fake", OWN_CASES)
    current = {case: servers.result("fake", case, through=True) for case in OWN_CASES}
    assert previous == json.loads(json.dumps(current))
