from __future__ import annotations

from gateway.config.model import Config, Key, Tenant
from gateway.policy.trace import Counts, Request, with_keys


def test_a_tenant_without_keys_gets_one_and_the_others_keep_theirs() -> None:
    config = with_keys(Config(tenants={"a": Tenant(models=()), "b": Tenant(models=(), keys={"k": Key(digest=b"1")})}))
    assert [list(tenant.keys) for tenant in config.tenants.values()] == [["simulated"], ["k"]]


def test_a_request_can_be_moved_in_time_only() -> None:
    request = Request(5, "t", "m", 1, 2, key="k")
    assert request.moved(7) == Request(7, "t", "m", 1, 2, key="k")


def test_sums_begin_with_nothing() -> None:
    assert set(Counts().__struct_fields__) >= {"requests", "served", "cut", "cost_nanos"}
    assert not any(getattr(Counts(), name) for name in Counts.__struct_fields__)
