"""What is wrong or doubtful about where spans are sent, told where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import review_telemetry
from gateway.config.load import load, load_with_places
from gateway.errors import ConfigError

GOOD = """
telemetry:
  otlp:
    endpoint: https://otlp.example.com/api/otel
    protocol: http
    headers: {authorization: "Bearer ${TOKEN}"}
    sample: 10%
    errors: sampled
"""
ENVIRON = {"TOKEN": "t0ken"}


def problems(folder: Path, was: str, becomes: str) -> str:
    assert was in GOOD
    (folder / "a.yaml").write_text(GOOD.replace(was, becomes, 1))
    with pytest.raises(ConfigError) as caught:
        load(folder, environ=ENVIRON)
    return str(caught.value)


def doubts(folder: Path, text: str) -> list[str]:
    (folder / "a.yaml").write_text(text)
    found = load_with_places(folder, environ=ENVIRON)
    return [found.places.show(each) for each in review_telemetry.doubts(found.config)]


def test_what_is_written_well_is_neither_refused_nor_doubted(tmp_path: Path) -> None:
    assert doubts(tmp_path, GOOD) == []
    assert doubts(tmp_path, "server: {workers: 1}") == []


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ("otlp:", "otpl:", "a.yaml:3: telemetry.otpl: unknown key; did you mean otlp?"),
        ("endpoint:", "endpiont:", "a.yaml:4: telemetry.otlp.endpiont: unknown key; did you mean endpoint?"),
        ("protocol: http", "protocol: htp", "a.yaml:5: telemetry.otlp.protocol: expected http or grpc"),
        ("protocol: http", "protocol: grpc", "a.yaml:4: telemetry.otlp.endpoint: gRPC has no path"),
        ("https://otlp", "ftp://otlp", "a.yaml:4: telemetry.otlp.endpoint: expected http://"),
        ("https://otlp", "https://me:pw@otlp", "a.yaml:4: telemetry.otlp.endpoint: a URL holds no credentials"),
        ("${TOKEN}", "${OTHER}", "a.yaml:6: telemetry.otlp.headers.authorization: the environment variable OTHER"),
        ("authorization:", "'a b':", "a.yaml:6: telemetry.otlp.headers"),
        ("10%", "10", "a.yaml:7: telemetry.otlp.sample: expected a share from 0% to 100%"),
        ("sampled", "never", "a.yaml:8: telemetry.otlp.errors: expected always or sampled"),
    ],
)
def test_what_is_wrong_is_told_where_it_is(tmp_path: Path, was: str, becomes: str, told: str) -> None:
    assert told in problems(tmp_path, was, becomes)


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ("https://", "http://", "a.yaml:4: telemetry.otlp.endpoint: who asked which model, and the headers, leave"),
        ("${TOKEN}", "t0ken", "a.yaml:6: telemetry.otlp.headers.authorization: a secret in a file is archived"),
        ("10%", "0%", "a.yaml:7: telemetry.otlp.sample: nothing is sent but what a caller's traceparent asks for"),
    ],
)
def test_a_doubt_is_told_at_its_place(tmp_path: Path, was: str, becomes: str, told: str) -> None:
    (line,) = doubts(tmp_path, GOOD.replace(was, becomes, 1))
    assert told in line


def test_missing_packages_are_a_doubt_where_spans_are_sent(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    config = load(tmp_path, environ=ENVIRON)
    assert [each.message for each in review_telemetry.missing(config, lambda: "no packages")] == ["no packages"]
    assert list(review_telemetry.missing(config, lambda: None)) == []
