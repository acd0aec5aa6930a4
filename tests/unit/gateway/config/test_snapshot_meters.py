from __future__ import annotations

import pytest

from gateway.config import snapshot_meters
from gateway.config.model import Config, Key, Model, Onnx, Tenant
from gateway.config.model_meters import CallPrice, Downgrade, MeterEntry, Project, TokenPrices
from gateway.config.snapshot_meters import (
    CONCURRENT,
    FREE,
    INPUT,
    MONEY,
    OUTPUT,
    REQUESTS,
    Meters,
    Price,
    Threshold,
    Window,
    counts_money,
    meter,
    price_of,
    unpriced,
)
from gateway.config.units_money import QUANTITIES


def test_quantities_are_numbered_as_configurations_name_them() -> None:
    named = {QUANTITIES[number]: number for number in (REQUESTS, INPUT, OUTPUT, CONCURRENT, MONEY)}
    assert tuple(named) == QUANTITIES


def test_a_meter_is_compiled_with_its_thresholds_in_order() -> None:
    entry = MeterEntry(
        cap="501 usd", window="month", zone="Europe/Berlin",
        at={"1000": "refuse", "950": Downgrade(downgrade="small"), "800": "warn", "900": "clamp"},
    )  # fmt: skip
    made = meter("tenant", entry)
    assert (made.level, made.quantity, made.cap, made.stated_cap, made.per) == ("tenant", MONEY, 501, 501, "")
    assert made.window == Window("month", zone="Europe/Berlin")
    assert made.number == "usd|month@Europe/Berlin"
    assert made.at == (
        Threshold(800, "warn", "", 401), Threshold(900, "clamp", "", 451), Threshold(950, "downgrade", "small", 476),
    )  # fmt: skip


def test_a_refusal_at_a_share_is_a_smaller_cap() -> None:
    made = meter("key", MeterEntry(cap="7 requests", window="60s", at={"900": "refuse", "500": "warn"}))
    assert (made.quantity, made.cap, made.stated_cap) == (REQUESTS, 6, 7)
    assert made.at == (Threshold(500, "warn", "", 4),)
    assert made.window == Window("rolling", 60, 1)


def test_concurrency_has_no_window_and_is_the_same_meter_at_any_cap() -> None:
    first, second = (meter("tenant", MeterEntry(cap=f"{cap} concurrent", per="end_user")) for cap in (1, 2))
    assert (first.quantity, first.window.kind) == (CONCURRENT, "none")
    assert first.number == second.number == "concurrent||per=end_user"


@pytest.mark.parametrize(
    ("level", "per", "kept"),
    [("tenant", "tenant", ""), ("key", "tenant", ""), ("key", "key", ""), ("model", "model", ""),
     ("project", "tenant", ""),
     ("gateway", "tenant", "tenant"), ("model", "tenant", "tenant"), ("tenant", "model", "model")],
)  # fmt: skip
def test_per_what_the_section_is_for_says_nothing_more(level: str, per: str, kept: str) -> None:
    assert meter(level, MeterEntry(cap="1 requests", window="day", per=per)).per == kept  # type: ignore[arg-type]


def test_equal_meters_are_one_object() -> None:
    meters = Meters()
    one, two = (meters.of("tenant", (MeterEntry(cap="1 requests", window="60s"),)) for _ in range(2))
    assert one[0] is two[0]
    assert meters.of("key", (MeterEntry(cap="1 requests", window="60s"),))[0] is not one[0]


def test_cached_input_costs_what_input_does_and_reasoning_what_output_does() -> None:
    assert price_of(Model(backend="b", price=TokenPrices(input=5, output=7, request=3))) == Price(5, 5, 7, 7, 3)
    dear = TokenPrices(input=5, cached_input=0, output=7, reasoning=9)
    assert price_of(Model(backend="b", price=dear)) == Price(5, 0, 7, 9)
    assert price_of(Onnx(versions={}, price=CallPrice(call=4))) == Price(call=4)
    assert price_of(Model(backend="b", price="free")) is FREE
    assert price_of(Model(backend="b")) is None


def test_money_is_counted_once_a_price_or_a_cap_on_money_is_named() -> None:
    model, free = Model(backend="b"), Model(backend="b", price="free")
    rate, money = MeterEntry(cap="1 requests", window="60s"), MeterEntry(cap="0 usd", window="day")
    plain = Config(models={"m": model}, meters=(rate,))
    assert not counts_money(plain)
    assert unpriced(plain) == []
    named = Config(models={"m": model, "f": free})
    assert counts_money(named)
    assert unpriced(named) == ["m"]
    key = Key(digest=b"", meters=(money,))
    for tenant in (
        Tenant(models=(), meters=(money,)),
        Tenant(models=(), projects={"p": Project(meters=(money,))}),
        Tenant(models=(), keys={"k": key}),
    ):
        assert unpriced(Config(models={"m": model}, tenants={"t": tenant})) == ["m"]


def test_windows_are_named_as_in_bucket_keys() -> None:
    entries = {"60s": "60s", "day": "day@UTC", "lifetime": "lifetime"}
    for window, name in entries.items():
        made = snapshot_meters.window_of(MeterEntry(cap="1 requests", window=window))
        assert snapshot_meters.window_name(made) == name
