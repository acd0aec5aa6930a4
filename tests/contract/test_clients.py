"""The official client gets the same answers through the gateway as from the server itself, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract import kinds
from tests.contract.compare import disagreements
from tests.contract.upstreams import KINDS, OWN_CASES, Servers


@pytest.mark.parametrize(
    ("kind", "case"), [kinds.of(name, case) for name, kind in KINDS.items() for case in kind.cases()]
)
def test_the_answer_through_the_gateway_is_the_servers_own(servers: Servers, kind: str, case: str) -> None:
    kinds.require(kind)
    direct = servers.result(kind, case, through=False)
    through = servers.result(kind, case, through=True)
    assert disagreements(direct, through) == []


NAMES = ["m", "openai/contract", "renamed"]
NOT_FOUND = {"raised": "NotFoundError", "status": 404}
NO_KEY = {"raised": "AuthenticationError", "status": 401}
OWN_ANSWERS: dict[str, Any] = {
    "models_listed": {"names": NAMES, "objects": ["model"]},
    "model_retrieved": {"name": "m", "object": "model"},
    "model_with_slash_retrieved": {"name": "openai/contract"},
    "model_with_slash_retrieved_unescaped": {"name": "openai/contract"},
    "unknown_model_retrieved": NOT_FOUND | {"code": "model_not_found"},
    "unknown_model_asked": NOT_FOUND | {"code": "model_not_found"},
    "refused_without_messages": {"raised": "BadRequestError", "status": 400, "code": "invalid_request"},
    "unknown_path": NOT_FOUND | {"code": "unknown_path"},
    "wrong_key": NO_KEY | {"code": "invalid_api_key"},
    "wrong_key_lists_models": NO_KEY | {"code": "invalid_api_key"},
    "refused_previous_response": {"raised": "BadRequestError", "status": 400, "code": "invalid_request"},
    "refused_conversation": {"raised": "BadRequestError", "status": 400, "code": "invalid_request"},
    "refused_moderation": NOT_FOUND | {"code": "unknown_path"},
    "request_ids_differ": {"given": True, "different": True},
}


def test_every_answer_of_the_gateways_own_is_stated() -> None:
    assert sorted(OWN_ANSWERS) == sorted(OWN_CASES)


@pytest.mark.parametrize("case", OWN_CASES)
def test_what_the_gateway_answers_itself_is_what_openais_clients_expect(servers: Servers, case: str) -> None:
    result = servers.result("fake", case, through=True)
    if "raised" in result:
        body = result["body"]
        assert sorted(body) == ["code", "message", "param", "type"]
        result = {"raised": result["raised"], "status": result["status"], "code": body["code"]}
    assert result == OWN_ANSWERS[case]
