from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import ConfigError
from gateway.policy.explain_ahead import steps
from gateway.wire.chat import CODEC
from tests.unit.gateway.policy.test_replay import URLS, snapshot


def told(key: str = "acme/app", chain: list[dict[str, Any]] | None = None, **fields: Any) -> dict[str, list[str]]:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    meters = {"acme": [{"cap": "5000000000 usd", "window": "month", "zone": "UTC", "at": {"800": "clamp"}}]}
    found = snapshot(meters=meters, chain=chain or [])
    return {step.name: step.lines for step in steps(found, key, json.dumps(body).encode(), CODEC)}


def test_what_would_be_decided_is_told_in_order() -> None:
    found = told(max_tokens=50)
    assert list(found) == ["who", "model", "price", "held", "meters", "checks", "route 1", "route 2"]
    assert found["model"] == ["m: backend b, which calls it served", "should it fail: n"]
    assert found["price"] == ["$0.001/1M input, $0.001/1M cached input, $0.01/1M output, $0.01/1M reasoning"]
    assert found["held"][0].endswith("and 50 output tokens, $0.000000709")
    assert found["meters"] == ["the tenant's $5 a month in UTC (clamp at 80%)"]
    assert found["checks"] == ["none"]
    assert found["route 1"] == [f"m: the least loaded, or the one with the conversation's cache, of {', '.join(URLS)}"]


def test_the_first_refusal_ends_it() -> None:
    assert told(model="nowhere")["refused"][0].startswith("404 model_not_found: ")
    assert told(max_tokens="many")["refused"][0].startswith("400 invalid_request: ")
    assert list(told("globex/app")) == ["who", "refused"]


def test_the_chain_is_named() -> None:
    entry = {"check": "keywords", "phase": "input", "words": ["x"], "code": "c", "action": "block"}
    assert told(chain=[entry])["checks"] == ["chain c"]


@pytest.mark.parametrize(
    ("key", "words"), [("app", "acme/app, globex/app"), ("nobody", "say TENANT/KEY, such as acme/app")]
)
def test_a_key_is_named_with_its_tenant_where_several_are_called_so(key: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        told(key)
