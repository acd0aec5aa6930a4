from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import lines
from gateway.config.model import AnyModel, Column, Key, Model, Onnx, PreviousKey, Tenant
from gateway.config.model_meters import MeterEntry, Project, TokenPrices
from gateway.config.shape import Shaper, dotted

HASH = "sha256:" + "ab" * 32


def read_keys(data: bytes) -> tuple[list[tuple[int, str, str, Key]], list[str]]:
    found: list[str] = []
    shaper = Shaper({}, lambda path, node, message: found.append(f"{node.place} {dotted(path)}: {message}"))
    return list(lines.read_keys(data, "keys.jsonl", shaper, {}, {})), found


def read_models(data: bytes) -> tuple[list[tuple[int, str, AnyModel]], list[str]]:
    found: list[str] = []
    shaper = Shaper({}, lambda path, node, message: found.append(f"{node.place} {dotted(path)}: {message}"))
    return list(lines.read_models(data, "models.jsonl", shaper)), found


def test_a_line_is_a_key_with_its_tenant_and_name() -> None:
    data = f'{{"tenant": "acme", "key": "app", "hash": "{HASH}"}}\n\n'
    data += f'{{"key": "b", "tenant": "acme", "expires": "2027-06-30", "hash": "{HASH}"}}\r\n'
    read, found = read_keys(data.encode())
    assert read == [
        (1, "acme", "app", Key(digest=b"\xab" * 32)),
        (3, "acme", "b", Key(digest=b"\xab" * 32, expires_s=1814400000)),
    ]
    assert not found


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("not json", "not JSON"),
        ("[]", "expected a map"),
        ("5", "expected a map"),
        ('{"tenant": "a", "key": "k"}', "the key hash is missing"),
        (f'{{"tenant": "a", "key": "k", "hash": "{HASH}", "hash": "{HASH}"}}', "there twice"),
        (f'{{"tenant": "a", "key": "k", "hash": "{HASH}", "expires": null, "expires": "2027-01-01"}}', "there twice"),
        (f'{{"tenant": "a", "key": "k", "hash": "{HASH}", "expirs": "2027-01-01"}}', "did you mean expires?"),
        (f'{{"tenant": "a", "key": "k", "hash": "{HASH}", "expires": "soon"}}', "expected a date"),
        (f'{{"tenant": "a b", "key": "k", "hash": "{HASH}"}}', "expected a name"),
        (f'{{"tenant": 5, "key": "k", "hash": "{HASH}"}}', "expected a name"),
        ('{"tenant": "a", "key": "k", "hash": "hunter2"}', "may be the secret itself"),
        ("x" * 70_000, "at most 65536 bytes"),
    ],
)
def test_a_bad_line_is_told_and_the_others_are_read(line: str, told: str) -> None:
    good = f'{{"tenant": "a", "key": "good", "hash": "{HASH}"}}'
    read, found = read_keys(f"{line}\n{good}".encode())
    assert [entry[2] for entry in read] == ["good"]
    assert len(found) == 1
    assert found[0].startswith("keys.jsonl:1 ")
    assert told in found[0]
    assert "hunter2" not in found[0]


def test_a_line_that_is_not_utf8_is_told() -> None:
    assert read_keys(b'{"tenant": "\xff"}')[1] == ["keys.jsonl:1 : not UTF-8 text"]


def test_escapes_and_an_explicit_null_mean_what_they_say() -> None:
    read, found = read_keys(f'{{"t\\u0065nant": "a", "key": "k", "hash": "{HASH}", "expires": null}}'.encode())
    assert [entry[:3] for entry in read] == [(1, "a", "k")]
    assert not found


def test_a_keys_projects_and_meters_may_stand_in_its_line() -> None:
    start = f'{{"tenant": "a", "key": "k", "hash": "{HASH}", '
    read, found = read_keys(
        f'{start}"projects": ["p", "q"]}}\n{start}"projects": []}}\n'
        f'{start}"meters": [{{"cap": "$5", "window": "day", "at": {{"80%": "warn"}}}}]}}'.encode()
    )
    meter = MeterEntry(cap="5000000000 usd", window="day", at={"800": "warn"})
    assert [key for _, _, _, key in read] == [
        Key(digest=b"\xab" * 32, projects=("p", "q")), Key(digest=b"\xab" * 32),
        Key(digest=b"\xab" * 32, meters=(meter,)),
    ]  # fmt: skip
    assert not found
    _, found = read_keys(f'{start}"projects": ["p"], "projects": ["q"]}}'.encode())
    assert "there twice" in found[0]


def test_a_models_price_and_meters_may_stand_in_its_line_with_their_units() -> None:
    start = '{"name": "m", "backend": "b", '
    read, found = read_models(
        f'{start}"price": {{"input": "$1/1M", "output": "$2/1M"}}, "max_output": 7}}\n'
        f'{start}"price": "free", "meters": [{{"cap": "40 concurrent"}}]}}\n'.encode()
    )
    price = TokenPrices(input=10**12, output=2 * 10**12)
    assert [model for _, _, model in read] == [
        Model(backend="b", price=price, max_output=7),
        Model(backend="b", price="free", meters=(MeterEntry(cap="40 concurrent"),)),
    ]
    assert not found
    for bare in ('"price": {"input": 5}', '"meters": [{"cap": "5 usd", "window": "day"}]'):
        read, found = read_models(f"{start}{bare}}}".encode())
        assert not read
        assert "such as $" in found[0]


def test_a_line_is_a_model_with_its_name() -> None:
    read, found = read_models(b'{"name": "m", "backend": "b", "served_model": "x y", "fallback": ["n"]}\n')
    assert read == [(1, "m", Model(backend="b", served_model="x y", fallback=("n",)))]
    assert not found


def test_a_line_may_be_a_classic_model() -> None:
    read, found = read_models(
        b'{"name": "m", "kind": "onnx", "versions": {"1": "a/b"}, "schema": {"age": {"min": 18}}}\n'
        b'{"name": "n", "kind": "backend", "backend": "b"}\n'
    )
    assert read == [
        (1, "m", Onnx(versions={"1": "a/b"}, schema={"age": Column(min=18)})),
        (2, "n", Model(backend="b")),
    ]
    assert not found


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"name": "m", "kind": "onnx"}', "the key versions is missing"),
        ('{"name": "m", "kind": "onyx"}', "did you mean onnx?"),
        ('{"name": "m", "backend": "b", "backend": "c"}', "there twice"),
        ('{"name": "m"}', "the key backend is missing"),
        (
            '{"name": "m", "backend": "b", "served_model": "${X}"}',
            "only in api_key, api_base, url, webhook, secret, endpoint, headers, admin_token and stores",
        ),
        ('{"name": "m", "backend": "b", "served_model": "\\ud800"}', "surrogate"),
        ('{"name": "m", "backend": "b", "fallback": "n"}', "expected a list"),
        ('{"name": "m*", "backend": "b"}', "expected a model's name"),
    ],
)
def test_a_bad_model_line_is_told(line: str, told: str) -> None:
    read, found = read_models(line.encode())
    assert not read
    assert told in found[0]


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: json.dumps({"tenant": text}).encode()))
def test_any_bytes_are_read_or_told(data: bytes) -> None:
    read, found = read_keys(data)
    assert len(read) + len(found) >= sum(1 for line in data.split(b"\n") if line.strip())
    read_models(data)


def read_tenants(text: str) -> tuple[list[tuple[int, str, Tenant]], list[str]]:
    found: list[str] = []
    shaper = Shaper({}, lambda path, node, message: found.append(f"{node.place} {dotted(path)}: {message}"))
    return list(lines.read_tenants(text.encode(), "tenants.jsonl", shaper)), found


def test_a_line_is_a_tenant_and_meters_written_alike_are_the_same() -> None:
    meters = '"meters": [{"cap": "$5", "window": "day"}]'
    read, found = read_tenants(
        f'{{"name": "a", "models": ["*"], {meters}}}\n{{"name": "b", "models": ["*"], {meters}}}\n'
        '{"name": "c", "models": [], "projects": {"p": {}}}\n{"name": "d", "models": ["m"]}'
    )
    assert not found
    assert [(line, name) for line, name, _ in read] == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]
    tenants = [tenant for _, _, tenant in read]
    assert tenants[0] == tenants[1] == Tenant(models=("*",), meters=(MeterEntry(cap="5000000000 usd", window="day"),))
    assert tenants[0].meters is tenants[1].meters
    assert tenants[2:] == [Tenant(models=(), projects={"p": Project()}), Tenant(models=("m",))]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"name": "a"}', "the key models is missing"),
        ('{"models": []}', "the key name is missing"),
        ('{"name": "a", "models": [], "meter": []}', "did you mean meters?"),
        ('{"name": "a", "models": [], "name": "b"}', "there twice"),
        ('{"name": "a", "models": [], "meters": [{"cap": "$5", "cap": "$6"}]}', "there twice"),
        ('{"name": "a", "models": [], "meters": [{"cap": "5 usd", "window": "day"}]}', "such as $500"),
    ],
)
def test_a_bad_tenant_line_is_told_each_time(line: str, told: str) -> None:
    read, found = read_tenants(f"{line}\n{line}")
    assert not read
    assert told in found[0]
    assert len(found) == 2


def test_a_keys_models_and_the_secret_before_may_stand_in_its_line() -> None:
    start = f'{{"tenant": "a", "key": "k", "hash": "{HASH}", '
    before = f'{{"hash": "sha256:{"cd" * 32}", "expires": "2027-06-30"}}'
    read, found = read_keys(
        f'{start}"models": ["m", "x/*"]}}\n{start}"models": ["m"], "models": ["n"]}}\n'
        f'{start}"previous": {before}}}\n{start}"previous": {{"hash": "{HASH}"}}}}'.encode()
    )
    previous = PreviousKey(digest=b"\xcd" * 32, expires_s=1814400000)
    assert [key for *_, key in read] == [
        Key(digest=b"\xab" * 32, models=("m", "x/*")),
        Key(digest=b"\xab" * 32, previous=previous),
    ]
    assert [line.partition(": ")[2].split(" ", 2)[-1] for line in found] == [
        '"models" is there twice',
        "expires is missing",
    ]


def test_lines_that_were_read_before_give_the_very_same_keys() -> None:
    def line(name: str, end: str = "") -> bytes:
        return f'{{"tenant": "a", "key": "{name}", "hash": "{HASH}"{end}}}\n'.encode()

    shaper = Shaper({}, lambda path, node, message: None)
    seen: lines.KnownKeys = {}
    first = list(lines.read_keys(line("k") + line("l") + b"nonsense", "keys.jsonl", shaper, {}, seen))
    again: lines.KnownKeys = {}
    changed = line("l", ', "expires": "2027-06-30"')
    second = list(lines.read_keys(b"\n" + changed + line("k"), "keys.jsonl", shaper, seen, again))
    assert [entry[:3] for entry in second] == [(2, "a", "l"), (3, "a", "k")]
    assert second[1][3] is first[0][3]
    assert second[0][3].expires_s == 1814400000
    assert len(again) == 2
