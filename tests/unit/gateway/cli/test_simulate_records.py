from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from gateway.cli import main
from tests.unit.gateway.cli.test_replay import kept
from tests.unit.gateway.policy.test_replay import answered

CONFIG = """
backends: {c: {kind: vllm, endpoints: [{url: http://c}]}}
models:
  m: {backend: c, price: {input: $0.002/1M, output: $0.02/1M}}
tenants:
  acme: {models: [m], keys: {app: {hash: "sha256:%s"}}, meters: [{cap: 2 requests, window: 60s}]}
"""


def simulate(folder: Path, *options: str) -> Result:
    (folder / "new").mkdir()
    (folder / "new" / "a.yaml").write_text(CONFIG % ("0" * 64))
    kept(
        folder / "state",
        *(answered(id=f"req_{number}") for number in range(3)),
        answered(
            id="req_3",
            outcome="refused",
            code="model_not_found",
            alias="gone",
            usage_from="",
            input_tokens=None,
            charge_nanos=None,
        ),
        answered(id="req_4", outcome="refused", code="content_filter"),
    )
    where = ["--config", str(folder / "new"), "--state-dir", str(folder / "state"), "--since", "2020-01-01"]
    return CliRunner().invoke(main, ["simulate", *where, *options])


def test_recorded_requests_are_told_beside_what_was(tmp_path: Path) -> None:
    result = simulate(tmp_path)
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.split("Beside what was")[1].splitlines())) <= 100
    assert "acme: m goes to c, and went to b" in result.stdout
    assert "1  answers were never made" in result.stdout
    assert "1  requests are left out" in result.stdout


def test_the_same_is_json(tmp_path: Path) -> None:
    (found,) = json.loads(simulate(tmp_path, "--format", "json").stdout)["compared"]["tenants"]
    assert found == {
        "tenant": "acme",
        "requests": 4,
        "refused": 1,
        "refused_now": 2,
        "cost_usd": "0.000000111",
        "cost_usd_now": "0.000000148",
        "never_made": 1,
        "cut_short": 0,
    }


def test_a_trace_and_records_are_not_taken_together(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("time,input,output\n")
    assert simulate(tmp_path, "--trace", str(trace)).exit_code == 2
