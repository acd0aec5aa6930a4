from __future__ import annotations

import pytest

from gateway.policy.roles import ROLES, Grant, Needs, Principal, Role, may, problem


def principal(*grants: Grant) -> Principal:
    return Principal("p", "", grants)


def test_a_role_includes_those_below_it_and_none_above() -> None:
    for held in ROLES:
        may_do = [needed for needed in ROLES if may(principal(Grant(held)), Needs(needed))]
        assert may_do == list(ROLES[ROLES.index(held) :])


def test_a_role_for_one_tenant_reaches_that_tenant_and_neither_others_nor_the_gateway() -> None:
    one = principal(Grant("admin", "acme"))
    assert may(one, Needs("admin", "tenant"), "acme")
    assert may(one, Needs("viewer", "some"))
    assert not may(one, Needs("admin", "tenant"), "globex")
    assert not may(one, Needs("admin", "tenant"), "")
    assert not may(one, Needs("viewer"), "acme")
    assert one.sees("acme")
    assert not one.sees("globex")
    assert not one.sees("")


def test_each_grant_counts_where_it_is_held() -> None:
    both = principal(Grant("viewer"), Grant("admin", "acme"))
    assert may(both, Needs("viewer"))
    assert may(both, Needs("admin", "tenant"), "acme")
    assert not may(both, Needs("admin", "tenant"), "globex")


def test_whoever_has_a_token_may_do_what_needs_no_role() -> None:
    assert may(principal(), Needs("owner", "none"))
    assert not may(principal(), Needs("viewer", "some"))


@pytest.mark.parametrize("role", ["owner", "operator"])
def test_roles_of_the_gateway_are_not_held_for_a_tenant(role: Role) -> None:
    assert "for the whole gateway" in (problem([Grant(role, "acme")]) or "")


def test_grants_without_sense_are_told() -> None:
    assert problem([]) == "a principal has at least one role"
    assert problem([Grant("viewer", "acme"), Grant("viewer", "acme")]) == "the role viewer is there twice for acme"
    assert problem([Grant("admin", "acme"), Grant("viewer")]) is None
