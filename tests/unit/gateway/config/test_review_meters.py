from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.config import review_meters
from gateway.config.load import load, load_with_places
from gateway.config.model import V2, AnyModel, Config, Endpoint, Key, Model, Onnx, Tenant, Vllm
from gateway.config.model_meters import CallPrice, Downgrade, MeterEntry, Project, Stores, TokenPrices
from gateway.config.model_telemetry import Telemetry
from gateway.config.shape import dotted
from gateway.errors import ConfigError

RATE = MeterEntry(cap="600 requests", window="60s")
MONEY = MeterEntry(cap="500000000000 usd", window="month")
PRICE = TokenPrices(input=50_000_000_000, output=150_000_000_000)
DEAR = TokenPrices(input=90_000_000_000, output=900_000_000_000)


def config(*meters: MeterEntry, **changes: Any) -> Config:
    """A configuration without problems or doubts, then changed; `meters` are the tenant's."""
    models: dict[str, AnyModel] = {
        "m": Model(backend="a", price=PRICE),
        "large": Model(backend="a", price=DEAR),
        "churn": Onnx(versions={"1": "a.onnx"}, price=CallPrice(call=1)),
    }
    tenant = Tenant(models=("*",), keys={"k": Key(digest=b"1" * 32)}, meters=meters)
    good: dict[str, Any] = {
        "backends": {"a": Vllm(endpoints=(Endpoint(url="http://a:1"),))},
        "models": models,
        "tenants": {"t": tenant},
        "telemetry": Telemetry(webhook="https://a.example.com"),
    }
    return Config(**{**good, **changes})


def said(findings: Any) -> list[str]:
    return [f"{dotted(finding.path)}: {finding.message}" for finding in findings]


def problems(found: Config) -> list[str]:
    return said(review_meters.problems(found))


def doubts(found: Config) -> list[str]:
    return said(review_meters.doubts(found))


def model_meters(**entries: MeterEntry) -> dict[str, AnyModel]:
    return {name: Model(backend="a", price=PRICE, meters=(entry,)) for name, entry in entries.items()}


def test_a_good_configuration_raises_no_question() -> None:
    per_user = MeterEntry(cap="1 usd", window="day", zone="Europe/Berlin", per="end_user", at={"800": "warn"})
    found = config(RATE, MONEY, per_user, MeterEntry(cap="40 concurrent"), MeterEntry(cap="0 requests", window="day"))
    assert problems(found) == doubts(found) == []


@pytest.mark.parametrize(
    ("meter", "told"),
    [
        (MeterEntry(cap="5 requests"), "tenants.t.meters[0]: the key window is missing"),
        (MeterEntry(cap="5 concurrent", window="60s"), "tenants.t.meters[0].window: concurrent counts what runs"),
        (
            MeterEntry(cap="5 requests", window="60s", zone="Europe/Berlin"),
            "tenants.t.meters[0].zone: only day, week, month",
        ),
        (MeterEntry(cap="5 usd", window="lifetime", zone="UTC"), "tenants.t.meters[0].zone: only day, week, month"),
        (
            MeterEntry(cap="5 requests", window="60s", at={"900": "clamp"}),
            "tenants.t.meters[0].at.90%: clamp shortens answers",
        ),
        (
            MeterEntry(cap="50 requests", window="60s", at={"800": "refuse", "905": "warn"}),
            '"90.5%": never reached: this meter refuses at 80%',
        ),
        (MeterEntry(cap="50 requests", window="60s", at={"1000": "warn"}), "100%: never reached"),
        (
            MeterEntry(cap="50 requests", window="60s", at={"800": "refuse", "1000": "refuse"}),
            "100%: never reached: this meter refuses at 80%",
        ),
        (
            MeterEntry(cap="1 requests", window="60s", at={"500": "refuse"}),
            "at: refuses everything: that share of 1 requests",
        ),
        (
            MeterEntry(cap="5 usd", window="day", at={"900": Downgrade(downgrade="smal")}),
            "90%.downgrade: there is no model",
        ),
        (
            MeterEntry(cap="5 usd", window="day", at={"900": Downgrade(downgrade="churn")}),
            "90%.downgrade: \"churn\" is asked under /v2",
        ),
    ],
)  # fmt: skip
def test_a_meter_that_contradicts_itself_is_told(meter: MeterEntry, told: str) -> None:
    found = problems(config(meter))
    assert len(found) == 1
    assert told in found[0]


def test_two_meters_of_one_quantity_and_window_are_told_once() -> None:
    utc = MeterEntry(cap="7 usd", window="month", zone="UTC")
    per = MeterEntry(cap="7 usd", window="month", per="tenant")
    found = list(review_meters.problems(config(MONEY, RATE, utc, per)))
    assert [(dotted(each.path), dotted(each.other or ())) for each in found] == [
        ("tenants.t.meters[2]", "tenants.t.meters[0]"), ("tenants.t.meters[3]", "tenants.t.meters[0]"),
    ]  # fmt: skip
    other_zone = MeterEntry(cap="7 usd", window="month", zone="Asia/Tokyo")
    each_user = MeterEntry(cap="7 usd", window="month", per="end_user")
    assert problems(config(MONEY, other_zone, each_user)) == []


def test_a_classic_model_has_no_tokens_and_nothing_to_shorten() -> None:
    tokens = MeterEntry(cap="5 output_tokens", window="day")
    smaller = MeterEntry(cap="5 usd", window="day", at={"900": Downgrade(downgrade="m"), "950": "clamp"})
    classic = Onnx(versions={"1": "a.onnx"}, price="free", meters=(tokens, smaller))
    found = problems(config(models={"m": Model(backend="a", price=PRICE), "c": classic}))
    assert [line.partition(": ")[0] for line in found] == [
        "models.c.meters[0].cap", 'models.c.meters[1].at.90%', 'models.c.meters[1].at.95%',
    ]  # fmt: skip


def test_models_that_are_downgraded_to_each_other_are_told_once() -> None:
    def to(model: str) -> MeterEntry:
        return MeterEntry(cap="5 usd", window="day", at={"900": Downgrade(downgrade=model)})

    assert "a model cannot be downgraded to itself" in problems(config(models=model_meters(m=to("m"))))[0]
    found = problems(config(models=model_meters(a=to("b"), b=to("c"), c=to("a"))))
    assert found == ["models.a.meters: these are downgraded to each other: a → b → c → a"]
    assert problems(config(models=model_meters(a=to("b"), b=to("c"), c=RATE))) == []


def test_a_price_that_names_nothing_is_told() -> None:
    models = {"m": Model(backend="a", price=TokenPrices()), "n": Model(backend="a", price=TokenPrices(cached_input=1))}
    assert problems(config(models=models)) == [
        "models.m.price: names no price: write price: free for a model that costs nothing",
        "models.n.price.cached_input: the key input is missing: the price of the others of its kind",
    ]


def test_a_key_works_only_for_projects_of_its_tenant() -> None:
    key = Key(digest=b"1" * 32, projects=("suport", "batch", "batch"))
    tenant = Tenant(models=("*",), keys={"k": key}, projects={"support": Project(), "batch": Project()})
    assert problems(config(tenants={"t": tenant})) == [
        'tenants.t.keys.k.projects[0]: this tenant has no project "suport"; did you mean support?',
        'tenants.t.keys.k.projects[2]: "batch" is already in this list',
    ]
    assert doubts(config(tenants={"t": tenant})) == ["tenants.t.projects.support: no key may work for this project"]


def test_a_model_without_a_price_is_doubted_once_another_has_one() -> None:
    models = {"m": Model(backend="a"), "n": Model(backend="a", price="free")}
    assert doubts(config(models=models))[0].startswith("models.m: has no price, so it is refused (402)")
    assert doubts(config(models={"m": Model(backend="a")})) == []
    assert "models.m: has no price" in doubts(config(MONEY, models={"m": Model(backend="a")}))[0]


def test_prices_that_are_probably_not_meant_are_doubted() -> None:
    v2 = V2(endpoints=(Endpoint(url="http://t:1"),))
    models = {
        "no-output": Model(backend="a", price=TokenPrices(input=5)),
        "no-input": Model(backend="a", price=TokenPrices(output=5)),
        "cached": Model(backend="a", price=TokenPrices(input=5, cached_input=6, output=1)),
        "embeddings": Model(backend="a", price=TokenPrices(input=5, output=0)),
        "request": Model(backend="a", price=TokenPrices(request=5)),
        "triton": Model(backend="v", price=TokenPrices(input=5, output=1)),
    }
    found = doubts(config(models=models, backends={"a": config().backends["a"], "v": v2}))
    assert [line.partition(": ")[0] for line in found] == [
        "models.no-output.price", "models.no-input.price", "models.cached.price.cached_input", "models.triton.price",
    ]  # fmt: skip


def test_a_downgrade_to_a_dearer_model_is_doubted() -> None:
    meter = MeterEntry(cap="5 usd", window="day", at={"900": Downgrade(downgrade="large")})
    models = {**config().models, "m": Model(backend="a", price=PRICE, meters=(meter,))}
    assert doubts(config(models=models)) == [
        "models.m.meters[0].at.90%.downgrade: is dearer ($0.9/1M output), and no saving"
    ]


def test_a_warning_that_goes_nowhere_is_doubted() -> None:
    meter = MeterEntry(cap="5 usd", window="day", at={"800": "warn"})
    assert doubts(config(meter, telemetry=Telemetry())) == [
        "tenants.t.meters[0].at.80%: telemetry.webhook is not set: this is logged and counted, and posted nowhere"
    ]


def test_a_webhook_is_doubted_as_other_addresses_are() -> None:
    found = config(telemetry=Telemetry(webhook="http://a.example.com"))
    assert [line.partition(": ")[0] for line in doubts(found)] == ["telemetry.webhook"]
    assert doubts(config(stores=Stores(meters="redis://:${PW}@h:1/0"))) == []
    assert "pw" not in "".join(doubts(found))


def test_a_keys_cap_above_its_tenants_is_doubted() -> None:
    key = Key(digest=b"1" * 32, meters=(MeterEntry(cap="601 requests", window="60s"),))
    tenant = Tenant(models=("*",), keys={"k": key}, meters=(RATE,))
    found = doubts(config(tenants={"t": tenant}))
    assert found == [
        "tenants.t.keys.k.meters[0].cap: more than the whole tenant may use (600 requests), so it never applies"
    ]


def test_problems_have_their_line_and_doubts_too(tmp_path: Path) -> None:
    text = """
backends: {a: {kind: fake}}
models: {m: {backend: a, price: {input: $1/1M, output: $1/1M}}, n: {backend: a}}
tenants:
  t:
    models: ["*"]
    keys: {k: {hash: "sha256:%s"}}
    meters:
      - {cap: $5, window: day}
      - {cap: $6, window: day}
""" % ("0" * 64)
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, environ={})
    assert str(raised.value) == (
        "a.yaml:10: tenants.t.meters[1]: there are two meters of the same quantity and window here: keep the smaller "
        "(see also a.yaml:9: tenants.t.meters[0])"
    )
    (tmp_path / "a.yaml").write_text(text.replace("$6, window: day", "$6, window: week, at: {80%: warn}"))
    found, places = load_with_places(tmp_path, environ={})
    assert [places.show(doubt).partition(": ")[0] for doubt in review_meters.doubts(found)] == ["a.yaml:3", "a.yaml:10"]


def test_the_gateways_own_meters_are_put_together_from_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("meters: [{cap: 5 requests, window: day}]")
    (tmp_path / "b.yaml").write_text("meters:\n  - {cap: 6 concurrent}\n  - {cap: 7 requests, window: day}")
    with pytest.raises(ConfigError, match=r"b.yaml:3: meters\[2\]: there are two meters"):
        load(tmp_path, environ={})
    (tmp_path / "b.yaml").write_text("meters: {cap: 6 concurrent}")
    with pytest.raises(ConfigError, match=r"b\.yaml:1: meters: expected a list"):
        load(tmp_path, environ={})
