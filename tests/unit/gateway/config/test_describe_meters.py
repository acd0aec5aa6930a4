from __future__ import annotations

from gateway.config import describe_meters
from gateway.config.model import AnyModel, Config, Key, Model, Onnx, Tenant
from gateway.config.model_meters import CallPrice, Downgrade, MeterEntry, Project, Stores, TokenPrices

RATE = MeterEntry(cap="600 requests", window="60s")


def test_it_says_what_each_model_costs_and_which_are_refused() -> None:
    models: dict[str, AnyModel] = {
        "m": Model(backend="b", price=TokenPrices(input=5 * 10**10, cached_input=0, output=10**11, request=10**6)),
        "open": Model(backend="b", price="free"),
        "gone": Model(backend="b"),
        "churn": Onnx(versions={}, price=CallPrice(call=20_000)),
    }
    assert describe_meters.prices(Config(models=models)) == [
        ("m", "$0.05/1M input, $0/1M cached input, $0.1/1M output, $0.001 a request"),
        ("open", "free"),
        ("gone", "NO PRICE: refused with 402 model_not_priced"),
        ("churn", "$0.00002 a call"),
    ]
    assert describe_meters.prices(Config(models={"gone": Model(backend="b")})) == []


def test_it_says_whose_every_meter_is_and_where_they_are_kept() -> None:
    tenant = Tenant(
        models=(),
        meters=(RATE,),
        projects={"p": Project(meters=(RATE,))},
        keys={"k": Key(digest=b"", meters=(RATE,))},
    )
    found = Config(
        models={"m": Model(backend="b", meters=(RATE,))},
        tenants={"t": tenant},
        meters=(RATE,),
        stores=Stores(meters="redis://:secret@h/0"),
    )
    said = "600 requests in 1m"
    entries = [
        ("kept in", "redis"), ("gateway", said), ("model m", said), ("tenant t", said), ("tenant t, project p", said),
        ("tenant t, key k", said),
    ]  # fmt: skip
    assert describe_meters.meters(found, 9) == (entries, 6)
    assert describe_meters.meters(found, 2) == (entries[:3], 6)
    assert describe_meters.meters(Config(), 9) == ([], 0)


def test_a_meter_reads_as_a_sentence() -> None:
    at = {"950": Downgrade(downgrade="small"), "800": "warn", "1000": "refuse"}
    entry = MeterEntry(cap="500000000000 usd", window="month", zone="Europe/Berlin", at=at)  # type: ignore[arg-type]
    assert describe_meters.meter(entry) == "$500 a month in Europe/Berlin (warn at 80%, downgrade to small at 95%)"
    assert describe_meters.meter(MeterEntry(cap="40 concurrent")) == "40 at a time"
    each = MeterEntry(cap="2000000 output_tokens", window="lifetime", per="end_user")
    assert describe_meters.meter(each) == "2M output_tokens ever for each end_user"
    assert describe_meters.meter(MeterEntry(cap="0 requests", window="day")) == "0 requests a day (NO CALL AT ALL)"
