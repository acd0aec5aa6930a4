from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.policy import kept
from gateway.policy.balance import EndpointView, weight_hash

SECRET = b"a secret of the gateway"


def views(*names: str) -> list[EndpointView]:
    return [EndpointView(index, name, 0, True, weight_hash(name)) for index, name in enumerate(names)]


A, B = views("http://a:1", "http://b:1")
ID = "req_0192f00dbeef0011223344aabbccdd"


def test_the_tenant_that_was_given_an_id_finds_the_endpoint_that_made_it() -> None:
    for endpoint in (A, B):
        given_id = kept.name(SECRET, "acme", endpoint, ID)
        assert kept.place(SECRET, "acme", given_id, [A, B]) == endpoint.index
        assert kept.place(SECRET, "acme", given_id, views("http://new:1", A.name, B.name)) == endpoint.index + 1


def test_another_tenant_another_gateway_and_a_gone_endpoint_find_nothing() -> None:
    given_id = kept.name(SECRET, "acme", A, ID)
    assert kept.place(SECRET, "globex", given_id, [A, B]) is None
    assert kept.place(b"another secret", "acme", given_id, [A, B]) is None
    assert kept.place(SECRET, "acme", given_id, views("http://b:1")) is None


@given(st.text(max_size=120))
def test_any_other_id_finds_nothing(other: str) -> None:
    assert kept.place(SECRET, "acme", other, [A, B]) is None


@given(st.integers(0, 200), st.sampled_from("0123456789abcdef_x"))
def test_an_id_changed_anywhere_finds_nothing(at: int, character: str) -> None:
    given_id = kept.name(SECRET, "acme", A, ID)
    at %= len(given_id)
    changed = given_id[:at] + character + given_id[at + 1 :]
    assert (kept.place(SECRET, "acme", changed, [A, B]) == 0) == (changed == given_id)
