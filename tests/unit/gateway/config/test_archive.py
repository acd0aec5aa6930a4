from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import archive, patches
from gateway.config.archive import Patch
from gateway.config.model import (
    Column,
    Config,
    Embedded,
    Endpoint,
    Key,
    Model,
    Onnx,
    Tenant,
    Version,
    Vllm,
)
from gateway.config.model_chains import WebhookTarget
from gateway.config.model_meters import CallPrice, Downgrade, MeterEntry, Project, Stores, TokenPrices
from gateway.config.model_telemetry import Otlp, Telemetry
from gateway.config.patches import Changes, TenantPatch
from gateway.errors import ConfigError

METERS = (
    MeterEntry(cap="500000000000 usd", window="month", zone="Europe/Berlin", at={"800": "warn", "1000": "refuse"}),
    MeterEntry(cap="5 requests", window="60s", per="end_user", at={"950": Downgrade(downgrade="n"), "900": "clamp"}),
)
CONFIG = Config(
    backends={
        "b": Vllm(endpoints=(Endpoint(url="http://${HOST}:1"),), api_key="${KEY}"),
        "a": Embedded(model="minilm"),
    },
    models={
        "m": Model(backend="b", fallback=("n",), price=TokenPrices(input=5, request=7), max_output=5),
        "n": Model(backend="a", price="free"),
        "c": Onnx(
            versions={"1": "c.onnx", "2": Version(path="c/2", digest="sha256:" + "0" * 64)},
            schema={"plan": Column(one_of=("free", True, 1, 2.5), nulls="impute", impute="free")},
            price=CallPrice(call=20_000),
            meters=METERS,
        ),
    },
    tenants={
        "t": Tenant(
            models=("*",),
            keys={"k": Key(digest=bytes(range(32)), expires_s=1_814_400_000, projects=("p",), meters=METERS)},
            projects={"p": Project(meters=METERS)},
            meters=METERS,
            chain="c",
        )
    },
    chains={"c": ({"check": "regex", "patterns": {"a": "x", "b": "y"}, "phase": ["input"]},), "none": ()},
    webhooks={"w": WebhookTarget(url="https://w.example.com/${HOOK}", secret="${PW}")},
    meters=METERS,
    stores=Stores(meters="redis://:${PW}@h/0"),
    telemetry=Telemetry(
        webhook="https://hooks.example.com/${HOOK}",
        otlp=Otlp(endpoint="https://${HOST}.example.com", headers={"authorization": "Bearer ${PW}"}),
    ),
)


def test_what_is_archived_is_read_back_the_same(tmp_path: Path) -> None:
    digest = archive.write(tmp_path / "new" / "state", archive.encode(CONFIG))
    assert archive.read(tmp_path / "new" / "state", digest) == CONFIG


def test_writing_the_same_again_changes_nothing(tmp_path: Path) -> None:
    blob = archive.encode(CONFIG)
    path = tmp_path / "snapshots" / f"{archive.write(tmp_path, blob)}.msgpack"
    before = path.stat()
    assert archive.write(tmp_path, blob) == archive.digest(blob)
    assert path.stat().st_ino == before.st_ino
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_nobody_else_may_read_the_archive(tmp_path: Path) -> None:
    digest = archive.write(tmp_path, archive.encode(CONFIG))
    folder = tmp_path / "snapshots"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / f"{digest}.msgpack").stat().st_mode) == 0o600


def test_a_file_that_was_cut_short_is_written_again(tmp_path: Path) -> None:
    digest = archive.write(tmp_path, archive.encode(CONFIG))
    (tmp_path / "snapshots" / f"{digest}.msgpack").write_bytes(b"")
    archive.write(tmp_path, archive.encode(CONFIG))
    assert archive.read(tmp_path, digest) == CONFIG


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    digest = archive.write(tmp_path, archive.encode(CONFIG))
    path = tmp_path / "snapshots" / f"{digest}.msgpack"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ConfigError, match="its digest is not its name"):
        archive.read(tmp_path, digest)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "g" * 64, "A" * 64, "a" * 64 + "\n"])
def test_a_digest_is_never_a_path(tmp_path: Path, digest: str) -> None:
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        archive.read(tmp_path, digest)


def test_an_unknown_digest_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read this snapshot"):
        archive.read(tmp_path, "a" * 64)


@given(st.binary(max_size=40))
def test_any_other_bytes_are_refused(blob: bytes) -> None:
    with pytest.raises(ConfigError):
        archive.decode(blob)


def test_a_blob_of_another_format_is_refused() -> None:
    blob = msgspec.msgpack.encode({"format": 99, "config": {}})
    with pytest.raises(ConfigError, match="format 99"):
        archive.decode(blob)


def test_a_snapshot_from_before_there_were_meters_is_read() -> None:
    blob = msgspec.msgpack.encode(
        {"format": 2, "config": {"models": {"m": {"kind": "backend", "backend": "a"}}}, "columns": []}
    )
    assert archive.decode(blob) == Config(models={"m": Model(backend="a")})


def test_the_blob_does_not_depend_on_the_order_of_entries() -> None:
    turned = msgspec.structs.replace(
        CONFIG,
        backends=dict(reversed(CONFIG.backends.items())),
        models=dict(reversed(CONFIG.models.items())),
    )
    assert archive.encode(turned) == archive.encode(CONFIG)


def test_the_blob_depends_on_the_order_where_order_has_a_meaning() -> None:
    first, second = (
        msgspec.structs.replace(CONFIG, models={"m": Model(backend="a", fallback=order), "n": Model(backend="a")})
        for order in (("x", "y"), ("y", "x"))
    )
    assert archive.encode(first) != archive.encode(second)


def columns(*names: str) -> Config:
    schema = {name: Column() for name in names}
    return Config(models={"m": Onnx(versions={"1": Version(path="a.onnx", schema=schema)}, schema=schema)})


def test_the_columns_of_a_schema_keep_their_order_which_is_that_of_a_matrix() -> None:
    found = archive.decode(archive.encode(columns("z", "a", "m"))).models["m"]
    assert isinstance(found, Onnx)
    assert list(found.schema) == ["z", "a", "m"]
    assert isinstance(version := found.versions["1"], Version)
    assert list(version.schema) == ["z", "a", "m"]
    assert archive.encode(columns("a", "m", "z")) != archive.encode(columns("z", "a", "m"))


def test_columns_that_are_not_those_of_the_schema_are_refused() -> None:
    for names in ([], [["a"], ["a", "b"]], [["a"], ["a"], ["a"]]):
        blob = msgspec.msgpack.encode({"format": 2, "config": columns("a"), "columns": names})
        with pytest.raises(ConfigError, match="its columns are not those it names"):
            archive.decode(blob)


def test_secrets_are_resolved_in_memory_and_archived_as_written() -> None:
    assert b"${KEY}" in archive.encode(CONFIG)
    resolved = archive.resolve_secrets(CONFIG, {"HOST": "h", "KEY": "k3y", "PW": "s", "HOOK": "x"})
    backend = resolved.backends["b"]
    assert isinstance(backend, Vllm)
    assert (backend.endpoints[0].url, backend.api_key) == ("http://h:1", "k3y")
    assert resolved.backends["a"] == CONFIG.backends["a"]
    assert (resolved.stores.meters, resolved.telemetry.webhook) == ("redis://:s@h/0", "https://hooks.example.com/x")
    assert "hooks.example.com/x" not in repr(resolved.telemetry)
    otlp = resolved.telemetry.otlp
    assert otlp == Otlp(endpoint="https://h.example.com", headers={"authorization": "Bearer s"})
    assert "Bearer" not in repr(otlp)
    assert "h.example.com" not in repr(otlp)
    assert resolved.webhooks["w"] == WebhookTarget(url="https://w.example.com/x", secret="s")


def test_a_secret_that_is_gone_names_its_backend_and_variable() -> None:
    with pytest.raises(ConfigError, match=r"backends\.b: the environment variable KEY is not set"):
        archive.resolve_secrets(CONFIG, {"HOST": "h"})
    with pytest.raises(ConfigError, match=r"webhooks\.w\.secret: the environment variable PW is not set"):
        archive.resolve_secrets(CONFIG, {"HOST": "h", "KEY": "k", "HOOK": "x"})
    spans = Config(telemetry=Telemetry(otlp=Otlp(endpoint="http://a:1", headers={"x": "${PW}"})))
    with pytest.raises(ConfigError, match=r"telemetry\.otlp\.headers: the environment variable PW is not set"):
        archive.resolve_secrets(spans, {})


OTHER = msgspec.structs.replace(CONFIG, tenants={})
BACK = patches.between(OTHER, CONFIG)


def written(tmp_path: Path, base: str, changes: Changes | None) -> str:
    assert changes is not None
    return archive.write(tmp_path, archive.encode_patch(Patch(base, changes)))


def test_a_patch_is_read_as_the_configuration_it_makes_of_its_base(tmp_path: Path) -> None:
    base = archive.write(tmp_path, archive.encode(CONFIG))
    first = written(tmp_path, base, patches.between(CONFIG, OTHER))
    second = written(tmp_path, first, BACK)
    assert archive.read(tmp_path, first) == OTHER
    assert archive.read(tmp_path, second) == CONFIG
    assert archive.read_one(tmp_path, second) == Patch(first, BACK or Changes())
    assert len({base, first, second}) == 3


def test_a_patch_without_its_base_or_that_does_not_fit_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read this snapshot"):
        archive.read(tmp_path, written(tmp_path, "a" * 64, BACK))
    base = archive.write(tmp_path, archive.encode(OTHER))
    unfit = Changes({"gone": TenantPatch(keys={"k": None})})
    with pytest.raises(ConfigError, match="there is no 'gone'"):
        archive.read(tmp_path, written(tmp_path, base, unfit))


@given(st.sampled_from(archive._ARRAYS), st.binary(max_size=40))
def test_any_other_bytes_of_a_patch_are_refused(first: int, rest: bytes) -> None:
    with tempfile.TemporaryDirectory() as state_dir:
        digest = archive.write(Path(state_dir), bytes([first]) + rest)
        with pytest.raises(ConfigError, match="not a snapshot that this version can read"):
            archive.read(Path(state_dir), digest)


def test_a_patch_of_another_format_is_refused(tmp_path: Path) -> None:
    digest = archive.write(tmp_path, archive.encode_patch(Patch("a" * 64, Changes(), format=9)))
    with pytest.raises(ConfigError, match="a snapshot of format 9; this version reads format 1"):
        archive.read(tmp_path, digest)


def test_the_history_tells_the_newest_first_and_what_each_is_based_on(tmp_path: Path) -> None:
    base = archive.write(tmp_path, archive.encode(OTHER))
    patch = written(tmp_path, base, BACK)
    for at_s, digest in enumerate((base, patch), 5):
        os.utime(tmp_path / "snapshots" / f"{digest}.msgpack", (at_s, at_s))
    assert [each[:3] for each in map(msgspec.structs.astuple, archive.history(tmp_path))] == [
        (patch, 6 * 10**9, base),
        (base, 5 * 10**9, None),
    ]
    assert list(archive.history(tmp_path / "none")) == []
