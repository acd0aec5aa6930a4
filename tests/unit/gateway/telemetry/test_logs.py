from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.clock import ManualClock
from gateway.telemetry.logs import LONGEST_TEXT, MASK, Log, Timestamps, redacted


class Written:
    """Collects what a log writes."""

    def __init__(self) -> None:
        self.data = b""

    def __call__(self, line: bytes) -> None:
        self.data += line

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.data.splitlines()]


def test_a_line_has_its_time_level_event_and_fields() -> None:
    written = Written()
    Log(ManualClock(), "info", written, process="worker-0").info("worker_ready", slot=0, port=None)
    assert written.data.endswith(b"\n")
    assert written.lines == [
        {
            "time": "2027-01-15T08:00:00.000Z",
            "level": "info",
            "event": "worker_ready",
            "process": "worker-0",
            "slot": 0,
            "port": None,
        }
    ]


def test_lines_below_the_level_are_not_written() -> None:
    written = Written()
    log = Log(ManualClock(), "warning", written)
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    assert [line["event"] for line in written.lines] == ["c", "d"]


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefghijk",
        "authorization=abcdefghijklmnop",
        "the key lg-Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5 was refused",
        "sk-proj-abcdefghij0123456789",
        "AKIAIOSFODNN7EXAMPLE12",
        "hf_abcdefghijklmnop1234",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        'api_key="not-much-of-a-key"',
        "http://user:hunter2@vllm-0:8000/v1",
    ],
)
def test_what_looks_like_a_credential_is_masked(text: str) -> None:
    secret = max(text.replace("=", " ").replace('"', " ").replace("//", " ").split(), key=len)
    assert MASK in redacted(text)
    assert secret not in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "req_01a3185c5000010203040500000001",
        "http://vllm-0:8000/v1/chat/completions",
        "d" * 64,
        "no endpoint of the model's backends is in service",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "skills-and-knowledge",
        "token limits: input and output",
    ],
)
def test_ids_addresses_and_sentences_are_left_as_they_are(text: str) -> None:
    assert redacted(text) == text


def test_secrets_are_masked_in_nested_values_exceptions_and_by_the_name_of_their_field() -> None:
    written = Written()
    log = Log(ManualClock(), "info", written)
    log.error(
        "backend_failed",
        error=ValueError("refused: Bearer abcdefghijk"),
        headers={"Authorization": "x", "accept": "y"},
        tried=["sk-abcdefghij0123456789"],
        Password="x",
    )
    (line,) = written.lines
    assert line["error"] == f"ValueError: refused: {MASK}"
    assert line["headers"] == {"Authorization": MASK, "accept": "y"}
    assert line["tried"] == [MASK]
    assert line["Password"] == MASK


def test_prompts_and_answers_are_not_taken() -> None:
    written = Written()
    Log(ManualClock(), "info", written).info("request_failed", messages=[{"content": "hello"}], prompt="hi", status=400)
    (line,) = written.lines
    assert line["left_out"] == ["messages", "prompt"]
    assert b"hello" not in written.data
    assert line["status"] == 400


def test_a_bug_is_logged_with_its_traceback() -> None:
    written = Written()
    try:
        raise RuntimeError("what happened")
    except RuntimeError as error:
        Log(ManualClock(), "info", written).bug("handler_failed", error, id="req_1")
    (line,) = written.lines
    assert "test_logs.py" in line["traceback"]
    assert line["traceback"].endswith("RuntimeError: what happened\n")


def test_a_long_value_is_cut() -> None:
    written = Written()
    Log(ManualClock(), "info", written).info("x_happened", detail="d" * 100_000)
    assert len(written.lines[0]["detail"]) == LONGEST_TEXT


def test_lines_made_elsewhere_are_written_in_one_piece() -> None:
    written = Written()
    log = Log(ManualClock(), "error", written)
    log.lines([])
    assert written.data == b""
    log.lines([{"a": 1}, {"b": 2}])
    assert written.data == b'{"a":1}\n{"b":2}\n'


def test_times_follow_the_second() -> None:
    times = Timestamps()
    at = 1_800_000_000 * 10**9
    assert [times.format(at + ns) for ns in (0, 999_999_999, 10**9, 59 * 10**9)] == [
        "2027-01-15T08:00:00.000Z",
        "2027-01-15T08:00:00.999Z",
        "2027-01-15T08:00:01.000Z",
        "2027-01-15T08:00:59.000Z",
    ]
