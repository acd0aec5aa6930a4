from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.simulate_trace import Defaults, Trace, moment_ns
from gateway.errors import ConfigError
from gateway.policy.trace import Request

START = 1_700_000_000 * 10**9
DEFAULTS = Defaults("acme", "small", START)


def read(tmp_path: Path, text: str | bytes) -> list[Request]:
    path = tmp_path / "trace.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(Trace(path, DEFAULTS))


def test_a_row_is_a_request_at_its_second_of_the_trace(tmp_path: Path) -> None:
    assert read(tmp_path, "t_s,input_tokens,output_tokens\n0.0,374,44\n4.5,396,109\n\n") == [
        Request(START, "acme", "small", 374, 44),
        Request(START + 4_500_000_000, "acme", "small", 396, 109),
    ]


def test_columns_go_by_many_names_and_stand_in_any_order(tmp_path: Path) -> None:
    head = (
        "\ufeffGeneratedTokens,ContextTokens,TIMESTAMP,Tenant,MODEL,user,Max Tokens,cached_input_tokens,project,key\n"
    )
    row = "7.0, 5 ,2023-11-16 18:15:46.6805900,globex,large,u-1,9,3,p,k\n"
    at_ns = int(datetime(2023, 11, 16, 18, 15, 46, tzinfo=UTC).timestamp()) * 10**9 + 680_590_000
    assert read(tmp_path, head + row) == [
        Request(
            at_ns, "globex", "large", 5, 7, cached_tokens=3, max_tokens=9, key="k", project="p", end_user="u-1"
        )
    ]  # fmt: skip


def test_a_cell_that_is_empty_has_its_default(tmp_path: Path) -> None:
    assert read(tmp_path, "time,input,output,tenant,model,max_tokens\n1,2,3,,,\n") == [
        Request(START + 10**9, "acme", "small", 2, 3)
    ]


def test_a_row_before_its_time_is_taken_as_of_the_row_above(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("time,input,output\n5,1,1\n3,1,1\n6,1,1\n")
    rows = Trace(path, DEFAULTS)
    assert [(each.at_ns - START) // 10**9 for each in rows] == [5, 5, 6]
    assert rows.unordered == 1


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("12.5", 1_700_000_012.5), ("1700000001", 1_700_000_001), ("1700000001500", 1_700_000_001.5),
     ("1700000001500000", 1_700_000_001.5), ("1700000001500000000", 1_700_000_001.5), ("1e3", 1_700_001_000),
     ("2023-11-14T22:13:21Z", 1_700_000_001), ("2023-11-15 00:13:21+02:00", 1_700_000_001),
     ("2023-11-14", 1_699_920_000)],
)  # fmt: skip
def test_a_time_is_in_seconds_of_the_trace_or_of_the_calendar(written: str, seconds: float) -> None:
    assert moment_ns(written, START) == pytest.approx(seconds * 1e9, abs=300)


@pytest.mark.parametrize("written", ["soon", "-5", "nan", "inf", "1e99", "0001-01-01", "9" * 20, "5s"])
def test_what_is_no_time_is_told(written: str) -> None:
    with pytest.raises(ValueError, match="expected seconds or a date and time"):
        moment_ns(written, START)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file is empty"),
        ("a,b\n", "trace.csv:1: no column for time and input_tokens and output_tokens: time may be called time, t_s"),
        ("time,input,output\n1,2\n", "trace.csv:2: output_tokens: nothing stands here"),
        ("time,input,output\n1,2,many\n", "trace.csv:2: output_tokens: expected a number of tokens, got 'many'"),
        ("time,input,output\n1,-2,3\n", "trace.csv:2: input_tokens: expected a number of tokens"),
        ("time,input,output\n1,1.5,3\n", "trace.csv:2: input_tokens: expected a number of tokens"),
        ("time,input,output\n1,nan,3\n", "trace.csv:2: input_tokens: expected a number of tokens"),
        ("time,input,output\n1,1e300,3\n", "trace.csv:2: input_tokens: expected a number of tokens"),
        ("time,input,output\n1,1,1\nlater,2,3\n", "trace.csv:3: time: expected seconds or a date and time"),
        (b"time,input,output\n1,\xff,3\n", "not a CSV file in UTF-8"),
        (b"time,input,output\n" + b'"' + b"x" * 200_000, "not a CSV file in UTF-8"),
    ],
)
def test_what_is_no_trace_is_told_with_its_line(tmp_path: Path, text: str | bytes, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, text)
    assert told in str(raised.value)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_told(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    try:
        read(tmp_path_factory.getbasetemp(), b"time,input,output\n" + data)
    except ConfigError:
        pass
