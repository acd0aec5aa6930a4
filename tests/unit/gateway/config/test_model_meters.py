from __future__ import annotations

from typing import Any

import pytest

from gateway.config.model import Config
from gateway.config.model_meters import CallPrice, Downgrade, MeterEntry, Stores, TokenPrices
from gateway.config.nodes import from_yaml
from gateway.config.shape import Shaper, dotted


def read(text: str) -> tuple[Any, list[str]]:
    found: list[str] = []
    shaper = Shaper({"PG": "secret"}, lambda path, node, message: found.append(f"{dotted(path)}: {message}"))
    return shaper.build(Config, from_yaml(text, "f"), ()), found


def test_prices_and_meters_are_read_as_plain_values() -> None:
    config, found = read(
        """
        models:
          small: {backend: b, price: {input: $0.05/1M, output: $0.15/1M, request: $0.001}}
          large: {backend: b, price: from_price_map}
          open: {backend: b, price: free}
          churn: {kind: onnx, versions: {"1": a.onnx}, price: {call: $0.00002}}
        tenants:
          acme:
            models: [small]
            meters:
              - {cap: $500, window: month, zone: Europe/Berlin, at: {80%: warn, 95%: {downgrade: small}, 100%: refuse}}
              - {cap: 40 concurrent}
            projects: {support: {meters: [{cap: $50, window: week}]}, batch: }
        stores: {meters: "postgresql://u:${PG}@db/lockgate"}
        """
    )
    assert found == []
    assert config.models["small"].price == TokenPrices(input=5 * 10**10, output=15 * 10**10, request=10**6)
    assert [config.models[name].price for name in ("large", "open", "churn")] == [
        "from_price_map", "free", CallPrice(call=20_000),
    ]  # fmt: skip
    acme = config.tenants["acme"]
    assert acme.meters == (
        MeterEntry(
            cap="500000000000 usd",
            window="month",
            zone="Europe/Berlin",
            at={"800": "warn", "950": Downgrade(downgrade="small"), "1000": "refuse"},
        ),
        MeterEntry(cap="40 concurrent"),
    )
    assert list(acme.projects) == ["support", "batch"]
    assert config.stores.meters == "postgresql://u:${PG}@db/lockgate"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("models: {m: {backend: b, price: 0}}", "models.m.price: expected free, from_price_map, or a map such as"),
        ("models: {m: {backend: b, price: fre}}", "models.m.price: expected free, from_price_map or a map"),
        ("models: {m: {backend: b, price: {call: $1}}}", "models.m.price.call: unknown key; known: "),
        (
            "models: {m: {backend: b, price: {inputs: $1/1M}}}",
            "models.m.price.inputs: unknown key; did you mean input?",
        ),
        (
            "models: {m: {backend: b, price: {input: $-1/1M}}}",
            "models.m.price.input: an amount of money is not negative",
        ),
        ("meters: [{cap: 5 requests, at: {120%: warn}}]", "meters[0].at.120%: expected a share of the cap above 0%"),
        ("meters: [{cap: 5 requests, at: {80%: wran}}]", "meters[0].at.80%: expected warn, clamp, refuse or"),
        ("meters: [{cap: 5 requests, at: {80%: {downgrad: x}}}]", "unknown key; did you mean downgrade?"),
        ("meters: [{cap: 5 requests, per: user}]", "meters[0].per: expected end_user, conversation"),
        ("meters: [{window: day}]", "meters[0]: the key cap is missing"),
        ("stores: {meters: mysql://db/x}", "stores.meters: expected sqlite, redis://"),
        ("stores: {meters: sqlit}", "did you mean sqlite?"),
        ("stores: {meters: 'redis://${NO}/0'}", "the environment variable NO is not set"),
        ("telemetry: {webhook: example.org}", "telemetry.webhook: "),
        ("telemetry: {webhook: ftp://example.org}", "telemetry.webhook: "),
    ],
)
def test_what_is_wrong_is_told_where_it_is(text: str, told: str) -> None:
    _, found = read(text)
    assert len(found) <= 2
    assert told in found[0]


def test_a_printed_store_shows_no_secret() -> None:
    assert repr(Stores(meters="redis://:hunter2@h/0")) == "Stores(meters='redis', control='sqlite')"
