"""A conversation whose answers vLLM keeps, led with the official client through the gateway."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import openai
import pytest

from tests.contract import kinds
from tests.contract.upstreams import Servers
from tests.support import gateway_process, vllm


@pytest.mark.parametrize("kind", [kinds.of("vllm")])
def test_an_answer_that_vllm_keeps_is_continued_by_the_tenant_it_was_given_to(
    servers: Servers, kind: str, tmp_path: Path
) -> None:
    kinds.require(kind)
    direct = servers.pair(kind).direct
    keys = {"acme": "lg-kept-acme", "globex": "lg-kept-globex"}
    configuration = {
        "server": {"workers": 2},
        "backends": {
            "kept": {
                "kind": "vllm",
                "endpoints": [{"url": direct.base_url.removesuffix("/v1")}],
                "api_key": "${CONTRACT_UPSTREAM_KEY}",
                "keeps_responses": True,
            }
        },
        "models": {direct.model: {"backend": "kept"}},
        "tenants": {
            name: {"models": ["*"], "keys": {"app": {"hash": "sha256:" + hashlib.sha256(key.encode()).hexdigest()}}}
            for name, key in keys.items()
        },
    }
    environment = {**os.environ, "CONTRACT_UPSTREAM_KEY": vllm.API_KEY}
    with gateway_process.serving(tmp_path, configuration, environment=environment) as gateway:
        with openai.OpenAI(base_url=f"{gateway.data}/v1", api_key=keys["acme"], max_retries=0) as client:
            first = client.responses.create(model=direct.model, input="Say something.", max_output_tokens=8)
            again = client.responses.create(
                model=direct.model, input="And more.", previous_response_id=first.id, max_output_tokens=8
            )
            assert again.previous_response_id == first.id
            assert first.usage is not None
            assert again.usage is not None
            assert again.usage.input_tokens > first.usage.input_tokens  # the first turn was read again
            with client.responses.stream(
                model=direct.model, input="Go on.", previous_response_id=again.id, max_output_tokens=8
            ) as stream:
                stream.until_done()
        with (
            openai.OpenAI(base_url=f"{gateway.data}/v1", api_key=keys["globex"], max_retries=0) as other,
            pytest.raises(openai.BadRequestError) as refused,
        ):
            other.responses.create(model=direct.model, input="Tell me.", previous_response_id=first.id)
        assert refused.value.param == "previous_response_id"
