from __future__ import annotations

import csv
import io
import json
import os
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main

CONFIG = """
backends: {gpu: {kind: vllm, endpoints: [{url: http://a}]}}
models:
  small: {backend: gpu, price: {input: $0.05/1M, output: $0.15/1M}, max_output: 2048}
  large: {backend: gpu, price: {input: $0.4/1M, output: $1.6/1M}, max_output: 2048}
tenants:
  acme: {models: ["*"], meters: [{cap: $2, window: day, at: {50%: {downgrade: small}}}, {cap: 2 requests, window: 60s}]}
  globex: {models: [small]}
"""
TRACE = """timestamp,input_tokens,output_tokens,tenant,model
2026-11-22 23:00:00,100000,1000,acme,large
2026-11-22 23:00:10,100000,1000,acme,large
2026-11-22 23:00:20,100000,1000,acme,large
2026-11-22 23:00:30,1000,1000,globex,small
2026-11-22 23:00:40,1000,1000,globex,large
2026-11-23 00:30:00,100000,1000,acme,large
"""
DATA = os.environ.get("LOCKGATE_DEV_DATA")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "a.yaml").write_text(CONFIG)
    (tmp_path / "trace.csv").write_text(TRACE)
    return tmp_path


def run(folder: Path, *options: str) -> Result:
    where = ["--trace", str(folder / "trace.csv"), "--config", str(folder / "config")]
    return CliRunner().invoke(main, ["simulate", *where, *options])


def rows(result: Result) -> list[dict[str, str]]:
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.output)))


def test_it_prices_a_trace_by_tenant_and_day(folder: Path) -> None:
    found = rows(run(folder, "--format", "csv"))
    assert [(row["tenant"], row["day"], row["requests"], row["served"], row["refused_rate"]) for row in found] == [
        ("acme", "2026-11-22", "3", "2", "1"), ("acme", "2026-11-23", "1", "1", "0"),
        ("globex", "2026-11-22", "2", "1", "0"),
    ]  # fmt: skip
    assert found[2]["refused_other"] == "1"  # that model is not there for this tenant
    assert [Decimal(row["cost_usd"]) for row in found] == [Decimal("0.0832"), Decimal("0.0416"), Decimal("0.0002")]
    assert Decimal(found[0]["asked_usd"]) == 3 * Decimal("0.0416")


def test_days_are_those_of_a_zone(folder: Path) -> None:
    days = {row["day"] for row in rows(run(folder, "--format", "csv", "--zone", "Asia/Tokyo"))}
    assert days == {"2026-11-23"}


def test_a_table_says_who_refused(folder: Path) -> None:
    result = run(folder)
    assert result.exit_code == 0
    assert "1  tenant:acme|requests|60s|" in result.output
    assert "1  model_not_found: large" in result.output
    assert "cost as asked" in result.output
    assert "total" in result.output


def test_json_has_what_the_other_forms_have(folder: Path) -> None:
    found = json.loads(run(folder, "--format", "json").output)
    assert found["refused_by"] == {"tenant:acme|requests|60s|": 1}
    assert found["refused_why"] == {"model_not_found: large": 1}
    wanted = rows(run(folder, "--format", "csv"))
    assert [{name: str(value) for name, value in row.items()} for row in found["rows"]] == wanted


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--model", "lage"], "--model: there is no model 'lage'; did you mean large?"),
        (["--tenant", "nobody"], "--tenant: there is no tenant"),
        (["--zone", "Berlin"], "--zone: there is no time zone"),
        (["--start", "soon"], "--start: "),
    ],
)
def test_a_wrong_option_is_told(folder: Path, options: list[str], told: str) -> None:
    result = run(folder, *options)
    assert result.exit_code == 1
    assert told in result.output


def test_a_trace_that_names_no_model_needs_one(folder: Path) -> None:
    (folder / "trace.csv").write_text("t_s,input_tokens,output_tokens,tenant\n0,1,1,acme\n5,1,1,acme\n")
    found = rows(run(folder, "--format", "csv", "--model", "small", "--start", "2026-11-22"))
    assert [(row["day"], row["served"]) for row in found] == [("2026-11-22", "2")]
    told = run(folder)
    assert told.exit_code == 1
    assert "the trace names no model: say --model, one of large, small" in told.output


def test_an_empty_trace_is_none(folder: Path) -> None:
    (folder / "trace.csv").write_text("time,input,output\n")
    assert run(folder).output == "There are no requests.\n"


@pytest.mark.skipif(DATA is None, reason="development data absent: LOCKGATE_DEV_DATA is not set")
@pytest.mark.parametrize(("name", "count"), [("azure2023_conv.csv", 19_366), ("azure2023_code.csv", 8_819)])
def test_real_traffic_is_priced_within_its_budget(folder: Path, name: str, count: int) -> None:
    trace = Path(DATA or "") / "traffic" / name
    if not trace.exists():
        pytest.skip(f"development data absent: {name}")
    options = ["--tenant", "acme", "--model", "large", "--format", "json", "--start", "2026-11-22T12:00"]
    (folder / "config" / "a.yaml").write_text(CONFIG.replace("2 requests", "400 requests"))
    command = ["simulate", "--trace", str(trace), "--config", str(folder / "config"), *options]
    [row] = json.loads(CliRunner().invoke(main, command).output)["rows"]
    assert row["requests"] == count
    assert row["served"] + row["refused"] == count
    assert Decimal(row["cost_usd"]) <= 2 < Decimal(row["asked_usd"])
    assert row["downgraded"] > 0
