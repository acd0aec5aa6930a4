from __future__ import annotations

import gc
import hashlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import snapshot
from gateway.config.model import V2, Column, Config, Endpoint, Fake, Key, Model, Onnx, PreviousKey, Tenant, Version
from gateway.config.model_meters import CallPrice, MeterEntry, Project
from gateway.config.snapshot import Snapshot, version_order
from gateway.config.snapshot_meters import Price

DIGEST = "d" * 64


CHURN = Onnx(
    versions={"10": "churn/10.onnx", "9": Version(path="churn/9", digest="sha256:9", schema={"old": Column()})},
    schema={"age": Column(min=18)},
)


def key(secret: str, expires_s: int | None = None) -> Key:
    return Key(digest=hashlib.sha256(secret.encode()).digest(), expires_s=expires_s)


def compiled() -> Snapshot:
    return snapshot.compile(
        Config(
            backends={"b": Fake()},
            models={
                "small": Model(backend="b", served_model='say "hi" ü', fallback=("large",)),
                "large": Model(backend="b", fallback=("openai/x",)),
                "openai/x": Model(backend="b"),
                "churn": CHURN,
            },
            tenants={
                "acme": Tenant(
                    models=("small", "gone", "churn", "openai/*"), keys={"app": key("one"), "old": key("two", 5)}
                ),
                "all": Tenant(models=("*",), keys={"k": key("three")}),
                "plain": Tenant(models=("large", "small", "gone", "churn"), keys={"k": key("four")}),
            },
        ),
        DIGEST,
    )


def test_a_caller_is_one_lookup_by_the_digest_of_its_secret() -> None:
    snap = compiled()
    caller = snap.keys[hashlib.sha256(b"two").digest()]
    assert (caller.tenant.name, caller.key, caller.expires_ns) == ("acme", "old", 5_000_000_000)
    assert snap.keys[hashlib.sha256(b"one").digest()].expires_ns is None
    assert snap.keys[hashlib.sha256(b"one").digest()].tenant is caller.tenant
    assert hashlib.sha256(b"five").digest() not in snap.keys


def test_a_tenant_may_use_its_names_and_patterns_only() -> None:
    rules = compiled().keys[hashlib.sha256(b"one").digest()].tenant.models
    assert [rules.allows(alias) for alias in ("small", "churn", "openai/x", "openai/", "large", "small\n", "")] == [
        True, True, True, True, False, False, False,
    ]  # fmt: skip


def test_a_tenant_sees_the_models_that_exist_and_that_it_may_use_in_order() -> None:
    snap = compiled()
    seen = {caller.tenant.name: snap.models_of(caller) for caller in snap.keys.values()}
    assert seen == {
        "acme": ["churn", "openai/x", "small"],
        "all": ["churn", "large", "openai/x", "small"],
        "plain": ["churn", "large", "small"],
    }


def test_a_key_sees_the_models_of_its_tenant_that_it_may_use_itself() -> None:
    keys = {
        name: Key(digest=name.encode() * 32, models=(pattern,)) for name, pattern in (("a", "openai/*"), ("b", "large"))
    }
    snap = snapshot.compile(
        Config(
            models={alias: Model(backend="b") for alias in ("small", "large", "openai/x")},
            tenants={"t": Tenant(models=("small", "openai/*"), keys=keys)},
        ),
        DIGEST,
    )
    assert [snap.models_of(snap.keys[name.encode() * 32]) for name in "ab"] == [["openai/x"], []]


def test_a_rotated_key_is_one_caller_by_both_secrets_until_the_old_one_ends() -> None:
    def ends(expires_s: int | None) -> list[int | None]:
        new = Key(digest=b"1" * 32, expires_s=expires_s, previous=PreviousKey(digest=b"2" * 32, expires_s=7))
        found = snapshot.compile(Config(tenants={"t": Tenant(models=("*",), keys={"k": new})}), DIGEST).keys
        assert {caller.key for caller in found.values()} == {"k"}
        assert len({id(caller.tenant) for caller in found.values()}) == 1
        return [found[number * 32].expires_ns for number in (b"1", b"2")]

    assert ends(None) == [None, 7 * 10**9]
    assert ends(9) == [9 * 10**9, 7 * 10**9]
    assert ends(5) == [5 * 10**9, 5 * 10**9]  # a key that has ended opens nothing by its older secret


def test_a_classic_model_has_its_versions_in_order_each_with_what_to_load() -> None:
    snap = compiled()
    assert "churn" not in snap.models
    churn = snap.classic["churn"]
    assert (list(churn.versions), churn.default) == (["9", "10"], "10")
    assert (churn.versions["10"].path, churn.versions["10"].columns) == ("churn/10.onnx", {"age": Column(min=18)})
    assert (churn.versions["9"].digest, churn.versions["9"].columns) == ("sha256:9", {"old": Column()})
    assert churn.versions == compiled().classic["churn"].versions


def test_a_model_of_a_server_of_the_protocol_is_a_classic_one_too() -> None:
    snap = snapshot.compile(
        Config(
            backends={"triton": V2(endpoints=(Endpoint(url="http://t:8000"),)), "b": Fake()},
            models={"fraud": Model(backend="triton"), "small": Model(backend="b"), "churn": CHURN},
        ),
        DIGEST,
    )
    assert [alias for alias in (*snap.aliases, "gone") if snap.is_classic(alias)] == ["churn", "fraud"]


def test_versions_are_ordered_as_one_counts() -> None:
    names = ["beta", "v2", "1", "1.9", "1.10", "2", "10", "2026-01-31", "2026-11-02"]
    assert sorted(set(names), key=version_order) == names


def test_a_route_has_its_name_ready_for_a_body_and_its_whole_chain() -> None:
    route = compiled().models["small"]
    assert (route.alias, route.backend, route.served_model) == ("small", "b", 'say "hi" ü')
    assert json.loads(route.served_model_json) == route.served_model
    assert [other.alias for other in route.fallback] == ["large", "openai/x"]
    assert [other.fallback for other in route.fallback] == [(), ()]
    assert compiled().models["large"].served_model_json == b'"large"'


def test_a_configuration_without_prices_and_meters_is_not_metered() -> None:
    snap = compiled()
    assert (snap.metered, snap.money, snap.meters) == (False, False, ())
    assert (snap.models["small"].price, snap.models["small"].max_output) == (None, 16_384)


def test_prices_and_meters_are_where_a_request_meets_them() -> None:
    rate = MeterEntry(cap="5 requests", window="60s")
    tenant = Tenant(
        models=("*",),
        keys={"k": Key(digest=b"1" * 32, projects=("p",), meters=(rate,)), "l": Key(digest=b"2" * 32)},
        projects={"p": Project(meters=(rate,)), "q": Project()},
        meters=(rate,),
    )
    snap = snapshot.compile(
        Config(
            models={
                "m": Model(backend="b", price="free", max_output=5, image_tokens=6, meters=(rate,), fallback=("n",)),
                "n": Model(backend="b", meters=(rate,)),
                "c": Onnx(versions={"1": "a.onnx"}, price=CallPrice(call=3), meters=(rate,)),
            },
            tenants={"t": tenant, "u": msgspec.structs.replace(tenant, keys={"k": Key(digest=b"3" * 32)})},
            meters=(rate,),
        ),
        DIGEST,
    )
    caller = snap.keys[b"1" * 32]
    route = snap.models["m"]
    found = [*snap.meters, *caller.tenant.meters, *caller.meters, *caller.tenant.projects["p"], *route.meters]
    assert [meter.level for meter in found] == ["gateway", "tenant", "key", "project", "model"]
    assert (route.price, route.max_output, route.image_tokens) == (Price(), 5, 6)
    assert (route.fallback[0].meters, route.fallback[0].price) == (route.meters, None)
    assert snap.classic["c"].price == Price(call=3)
    assert snap.classic["c"].meters == route.meters
    assert (caller.projects, caller.tenant.projects["q"]) == (("p",), ())
    assert snap.keys[b"3" * 32].tenant.meters[0] is caller.tenant.meters[0]
    assert snap.metered
    assert snap.money


def test_nothing_in_a_snapshot_can_be_replaced() -> None:
    snap = compiled()
    assert snap.digest == DIGEST
    for part in (snap, snap.models["small"], next(iter(snap.keys.values()))):
        with pytest.raises(AttributeError):
            part.digest = ""  # type: ignore[union-attr, misc]


def test_compiling_leaves_the_collector_as_it_was() -> None:
    compiled()
    assert gc.isenabled()
    gc.disable()
    try:
        compiled()
        assert not gc.isenabled()
    finally:
        gc.enable()


NAMES = st.text("ab/", min_size=1, max_size=4)


@given(st.lists(NAMES, unique=True), st.lists(NAMES | st.text("ab/*", min_size=1, max_size=4)))
def test_what_a_tenant_sees_is_what_it_may_ask_for(aliases: list[str], patterns: list[str]) -> None:
    snap = snapshot.compile(
        Config(
            models={alias: Model(backend="b") for alias in aliases},
            tenants={"t": Tenant(models=tuple(patterns), keys={"k": key("x")})},
        ),
        DIGEST,
    )
    (caller,) = snap.keys.values()
    assert snap.models_of(caller) == sorted(alias for alias in aliases if caller.allows(alias))
