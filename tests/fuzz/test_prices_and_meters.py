"""Whatever stands in a configuration under prices, meters and projects: it is told with its place, or it compiles, is
described, and comes back from the archive the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import archive, describe, review, snapshot
from gateway.config.load import load
from gateway.config.snapshot_meters import sections
from gateway.errors import ConfigError
from gateway.policy import windows

NOW_S = 1_800_000_000
ODD = st.sampled_from(
    [None, True, -1, 0, 1.5, 10**30, "", "nan", "$", "-$1", "€5", "$1e3", [], {}, [1], {"a": 1}, "${X}"]
)
MONEY = st.sampled_from(["$0", "$5", "$0.000000001", "$0.0000000001", "$1000000000", "$1000000001"]) | ODD
PRICE = st.sampled_from(["$0.05/1M", "$1/token", "$2/token", "$1/1K", "$0/1M", "$0.0000000000001/1M"]) | ODD
CAP = MONEY | st.sampled_from(
    [
        "600 requests",
        "0 requests",
        "2M output_tokens",
        "1.5K input_tokens",
        "40 concurrent",
        "5 tokens",
        "1000001B requests",
    ]
)
ACTION = st.sampled_from(
    ["warn", "clamp", "refuse", {"downgrade": "small"}, {"downgrade": "churn"}, {"downgrade": "x"}]
)
METER = st.fixed_dictionaries(
    {"cap": CAP},
    optional={
        "window": st.sampled_from(["1s", "60s", "720h", "721h", "day", "week", "month", "lifetime", "7d"]) | ODD,
        "zone": st.sampled_from(["UTC", "Europe/Berlin", "europe/berlin", "+02:00", "../x"]) | ODD,
        "per": st.sampled_from(["end_user", "conversation", "key", "project", "model", "tenant", "user"]) | ODD,
        "at": st.dictionaries(
            st.sampled_from(["80%", "99.5%", "100%", "0%", "101%", "80", "1%"]), ACTION | ODD, max_size=3
        )
        | ODD,
        "tyop": ODD,
    },
)
METERS = st.lists(METER, max_size=3) | ODD
PRICES = (
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("input", "cached_input", "output", "reasoning"), PRICE),
            "request": MONEY,
            "call": MONEY,
            "tyop": PRICE,
        },
    )
    | st.sampled_from(["free", "from_price_map", "fre"])
    | ODD
)
MODEL = st.fixed_dictionaries(
    {"backend": st.just("b")}, optional={"price": PRICES, "meters": METERS, "max_output": ODD}
)
CLASSIC = st.fixed_dictionaries(
    {"kind": st.just("onnx"), "versions": st.just({"1": "a.onnx"})}, optional={"price": PRICES, "meters": METERS}
)
KEY = st.fixed_dictionaries(
    {"hash": st.just("sha256:" + "0" * 64)},
    optional={"projects": st.lists(st.sampled_from(["p", "q", "x"]), max_size=3) | ODD, "meters": METERS},
)
TENANT = st.fixed_dictionaries(
    {"models": st.just(["*"])},
    optional={
        "meters": METERS,
        "projects": st.dictionaries(st.sampled_from(["p", "q"]), st.fixed_dictionaries({"meters": METERS}) | ODD) | ODD,
        "keys": st.fixed_dictionaries({"k": KEY}),
    },
)
CONFIG = st.fixed_dictionaries(
    {
        "backends": st.just({"b": {"kind": "fake"}}),
        "models": st.fixed_dictionaries({}, optional={"small": MODEL, "large": MODEL, "churn": CLASSIC}),
        "tenants": st.fixed_dictionaries({}, optional={"t": TENANT}),
    },
    optional={
        "meters": METERS,
        "stores": st.fixed_dictionaries(
            {"meters": st.sampled_from(["sqlite", "redis://h/0", "mysql://h", "redis://"]) | ODD}
        )
        | ODD,
        "telemetry": st.fixed_dictionaries({"webhook": st.sampled_from(["https://h/x", "ftp://h", "h"]) | ODD}),
    },
)


@given(CONFIG)
def test_it_is_told_or_it_compiles(tmp_path_factory: pytest.TempPathFactory, written: dict[str, Any]) -> None:
    folder: Path = tmp_path_factory.getbasetemp() / "fuzz-meters"
    folder.mkdir(exist_ok=True)
    (folder / "a.yaml").write_text(json.dumps(written))
    told = ""
    try:
        config = load(folder, environ={})
    except ConfigError as error:
        told = str(error)
    if told:
        assert all(line.startswith("a.yaml:1: ") or line == "… and more" for line in told.splitlines())
        return
    assert archive.decode(archive.encode(config)) == config
    snap = snapshot.compile(config, "d")
    assert snap.metered == (snap.money or any(entries for _, _, entries in sections(config)))
    for meter in snap.meters:
        assert 0 <= meter.cap <= meter.stated_cap
        end = windows.ends_ns(meter.window, NOW_S * 10**9)
        assert end is None or end > NOW_S * 10**9
    assert list(describe.describe(config, NOW_S))
    assert all(finding.message for finding in review.doubts(config, NOW_S))
