from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.model_meters import MeterEntry
from gateway.config.snapshot_meters import meter
from gateway.policy import meters
from gateway.policy.meters import Asker, Directory, key_of, led_to, models_of, spent_of, until_ns
from gateway.store.records import Record, capped
from tests.support.gateway import config, snapshot_of

NOW_NS = int(datetime(2026, 11, 22, 23, 30, tzinfo=UTC).timestamp()) * 10**9
ASKER = Asker("acme", "app", "support", "small", "u-7", "c0ffee")


def entry(cap: str = "5 usd", window: str | None = "month", **more: Any) -> MeterEntry:
    return MeterEntry(cap=cap, window=window, **more)


@pytest.mark.parametrize(
    ("level", "made", "key"),
    [
        ("gateway", entry(), "gateway:|usd|month@UTC|2026-11"),
        ("tenant", entry(zone="Europe/Berlin", window="day"), "tenant:acme|usd|day@Europe/Berlin|2026-11-23"),
        ("tenant", entry("5 requests", "60s"), "tenant:acme|requests|60s|"),
        ("tenant", entry("5 concurrent", None), "tenant:acme|concurrent||"),
        ("project", entry(window="week"), "project:acme/support|usd|week@UTC|2026-W47"),
        ("key", entry(window="lifetime"), "key:acme/app|usd|lifetime|"),
        ("model", entry(), "model:small|usd|month@UTC|2026-11"),
        ("tenant", entry(per="end_user"), "tenant.end_user:acme/u-7|usd|month@UTC|2026-11"),
        ("gateway", entry(per="end_user"), "gateway.end_user:acme/u-7|usd|month@UTC|2026-11"),
        ("model", entry(per="end_user"), "model.end_user:small/acme/u-7|usd|month@UTC|2026-11"),
        ("model", entry(per="tenant"), "model.tenant:small/acme|usd|month@UTC|2026-11"),
        ("gateway", entry(per="key"), "gateway.key:acme/app|usd|month@UTC|2026-11"),
        ("gateway", entry(per="model"), "gateway.model:small|usd|month@UTC|2026-11"),
        ("tenant", entry(per="model"), "tenant.model:acme/small|usd|month@UTC|2026-11"),
        ("key", entry(per="conversation"), "key.conversation:acme/app/c0ffee|usd|month@UTC|2026-11"),
    ],
)
def test_a_key_names_the_section_whom_it_counts_for_what_and_when(level: str, made: MeterEntry, key: str) -> None:
    assert key_of(meter(level, made), ASKER, NOW_NS) == key


names = st.text(max_size=400)


@given(names, names)
def test_two_end_users_share_a_bucket_only_if_a_record_could_not_tell_them_apart(one: str, other: str) -> None:
    made = meter("tenant", entry(per="end_user"))
    keys = [key_of(made, msgspec.structs.replace(ASKER, end_user=name), NOW_NS) for name in (one, other)]
    kept = [name.encode("utf-8", "replace")[:256].decode("utf-8", "ignore") for name in (one, other)]
    assert (keys[0] == keys[1]) is (kept[0] == kept[1])
    assert all(len(key) < 200 and " " not in key and key.count("|") == 3 and key.count("/") == 1 for key in keys)


@given(names)
def test_the_key_of_a_record_that_was_capped_is_the_same(name: str) -> None:
    made = meter("tenant", entry(per="end_user"))
    record = capped(Record(id="r", end_user=name))
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=Record).end_user
    keys = {key_of(made, msgspec.structs.replace(ASKER, end_user=each), NOW_NS) for each in (name, again)}
    assert len(keys) == 1


def test_keys_hold_until_the_first_window_ends() -> None:
    day, month, rolling = (meter("tenant", entry(window=window)) for window in ("day", "month", "60s"))
    midnight_ns = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp()) * 10**9
    assert until_ns([day, month, rolling], NOW_NS) == midnight_ns
    assert until_ns([rolling], NOW_NS) == meters.FOREVER_NS


def test_a_record_leads_to_the_buckets_it_was_counted_in() -> None:
    found = config(
        {"b": ["http://b"]},
        {
            "m": {"backend": "b", "meters": [{"cap": "9 requests", "window": "day"}]},
            "small": {"backend": "b", "served_model": "s", "meters": [{"cap": "7 requests", "window": "day"}]},
        },
        meters={
            "gateway": [{"cap": "1 usd", "window": "lifetime"}],
            "acme": [{"cap": "2 usd", "window": "day"}],
            "acme/project/support": [{"cap": "3 usd", "window": "day"}],
            "acme/app": [{"cap": "4 usd", "window": "day"}],
        },
    )
    directory = Directory(snapshot_of(found))
    record = Record(id="r", started_ns=NOW_NS, tenant="acme", key="app", alias="m", project="support")
    assert [(key.partition("|")[0], each.cap) for key, each in directory.keys_of(record)] == [
        *(("gateway:", 1), ("tenant:acme", 2), ("project:acme/support", 3), ("key:acme/app", 4), ("model:m", 9)),
    ]
    record.action = "downgraded:small cut"
    assert directory.keys_of(record)[-1][0].startswith("model:small|")
    record.action = "fallback:small"
    assert [key.partition("|")[0] for key, _ in directory.keys_of(record)][-2:] == ["model:small", "model:m"]
    record.key = "another"
    assert directory.keys_of(record) == []


def test_the_model_that_counts_is_the_one_it_was_downgraded_to() -> None:
    assert models_of(Record(alias="large")) == ["large"]
    assert models_of(Record(alias="large", action="clamped:7 downgraded:acme/small:v1 cut")) == ["acme/small:v1"]


def test_a_fallback_is_counted_for_the_models_before_it_too() -> None:
    action = "downgraded:small fallback:other clamped:3 fallback:last cut"
    assert models_of(Record(alias="large", action=action)) == ["small", "other", "last"]
    assert led_to(action) == "downgraded:small fallback:other fallback:last"
    assert led_to("clamped:3 cut") == led_to("") == ""


def test_what_was_settled_stands_in_the_record() -> None:
    record = Record(outcome="answered", usage_from="backend", held_input=10, held_output=10, charge_nanos=7)
    record.input_tokens, record.cached_input_tokens, record.output_tokens, record.reasoning_tokens = 4, 3, 2, 1
    record.waste_tokens = 5
    assert spent_of(record) == (1, 7, 3, 0, 7)
    record.outcome = "cancelled"
    assert spent_of(record) == (1, 7, 8, 0, 7)
    record.held_output = 6
    assert spent_of(record) == (1, 7, 6, 0, 7)
    record.outcome = "crashed"
    assert spent_of(record) == (1, 10, 6, 0, 7)
    assert spent_of(Record(outcome="refused")) == (0, 0, 0, 0, 0)
