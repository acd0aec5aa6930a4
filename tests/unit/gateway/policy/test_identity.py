"""Who a key belongs to, and that all refusals are one."""

from __future__ import annotations

import hashlib

import pytest

from gateway.config.snapshot_callers import Aliases, Caller, TenantRules
from gateway.errors import Unauthenticated
from gateway.policy.identity import Headers, identify

NOW_NS = 1_000
ACME = TenantRules("acme", Aliases(frozenset({"m"}), None))
APP = Caller(ACME, "app", None)
DATED = Caller(ACME, "dated", NOW_NS)
KEYS = {hashlib.sha256(b"good").digest(): APP, hashlib.sha256(b"dated").digest(): DATED}


def sent(**headers: bytes) -> Headers:
    found = Headers()
    found.update({name.replace("_", "-").encode(): value for name, value in headers.items()})
    return found


def who(now_ns: int = NOW_NS, **headers: bytes) -> Caller:
    return identify(KEYS, sent(**headers), now_ns)


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER ", b"Bearer   ", b"Bearer \t"])
def test_a_bearer_key_is_found_whatever_the_case_of_the_scheme(scheme: bytes) -> None:
    assert who(authorization=scheme + b"good") is APP


def test_a_key_may_come_as_x_api_key() -> None:
    assert who(x_api_key=b"good") is APP


def test_the_same_key_in_both_headers_is_one_key() -> None:
    assert who(authorization=b"Bearer good", x_api_key=b"good") is APP


def test_another_scheme_holds_no_key() -> None:
    assert who(authorization=b"Basic Z29vZDpnb29k", x_api_key=b"good") is APP


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": b""},
        {"authorization": b"Bearer"},
        {"authorization": b"Bearer "},
        {"authorization": b"good"},
        {"authorization": b"Basic good"},
        {"authorization": b"Bearer bad"},
        {"authorization": b"Bearer goo"},
        {"authorization": b"Bearer good good"},
        {"authorization": b"Bearer \xff\x00"},
        {"authorization": b"Bearer good", "x_api_key": b"bad"},
        {"authorization": b"Bearer good", "x_api_key": b"dated"},
        {"authorization": b"Bearer good", "x_api_key": b""},
        {"authorization": b"Bearer ", "x_api_key": b"good"},
        {"x_api_key": b""},
        {"x_api_key": b"bad"},
        {"x_api_key": hashlib.sha256(b"good").hexdigest().encode()},
        {"authorization": b"Bearer dated"},
    ],
)
def test_a_missing_wrong_expired_or_ambiguous_key_is_refused_in_the_same_words(headers: dict[str, bytes]) -> None:
    with pytest.raises(Unauthenticated) as refused:
        who(NOW_NS, **headers)
    with pytest.raises(Unauthenticated) as plain:
        who()
    assert (refused.value.message, refused.value.headers) == (plain.value.message, plain.value.headers)


def test_a_key_is_valid_until_the_instant_it_expires() -> None:
    assert who(NOW_NS - 1, x_api_key=b"dated") is DATED
    with pytest.raises(Unauthenticated):
        who(NOW_NS, x_api_key=b"dated")


def test_headers_that_serve_again_are_not_looked_up_again_but_among_other_keys() -> None:
    headers = sent(x_api_key=b"good")
    assert identify(KEYS, headers, NOW_NS) is APP
    del headers[b"x-api-key"]
    assert identify(KEYS, headers, NOW_NS) is APP
    with pytest.raises(Unauthenticated):
        identify({}, headers, NOW_NS)


def test_a_key_that_was_found_still_expires() -> None:
    headers = sent(x_api_key=b"dated")
    assert identify(KEYS, headers, NOW_NS - 1) is DATED
    with pytest.raises(Unauthenticated):
        identify(KEYS, headers, NOW_NS)
