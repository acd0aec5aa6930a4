"""How a case asks: where, under which names, and what an error looks like as a result.

No pytest and no particular version of the openai package: see `cases`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import openai

from tests.contract.results import without_changing

TIMEOUT_S = 60.0
CHAT, TEXT, EMBED, RESPONSES, RANK, OWN = "chat", "completions", "embeddings", "responses", "rank", "own"


@dataclass(frozen=True)
class Target:
    """Where to ask, and under which names; `other_model` and `slash_model` are more names of the same model."""

    base_url: str
    key: str
    model: str
    other_model: str
    slash_model: str

    def client(self, **options: Any) -> openai.OpenAI:
        """A client that never retries, so that each case is one request."""
        settings: dict[str, Any] = {"api_key": self.key, "timeout": TIMEOUT_S, "max_retries": 0, **options}
        return openai.OpenAI(base_url=self.base_url, **settings)


Case = Callable[[openai.OpenAI, Target], Any]
CASES: dict[str, tuple[str, Case]] = {}
"""Each case by name, with what a server must offer for it: chat, completions, embeddings, responses, rank (rerank and
score), or `own` for what the gateway answers itself, whatever an upstream would say."""


def case(offers: str) -> Callable[[Case], Case]:
    """Adds a case under its function's name."""

    def add(function: Case) -> Case:
        CASES[function.__name__] = (offers, function)
        return function

    return add


def run(name: str, target: Target) -> Any:
    """One case's result; an error the client raises is a result too."""
    with target.client() as client:
        try:
            return CASES[name][1](client, target)
        except openai.APIError as error:
            return refusal(error)


def refusal(error: openai.APIError) -> dict[str, Any]:
    """What a caller sees of an error: the exception's class, the status if there is one, the body as it was sent."""
    status = getattr(error, "status_code", None)
    return {"raised": type(error).__name__, "status": status, "body": without_changing(error.body)}


HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Say hello."}]


def chat(client: openai.OpenAI, target: Target, **fields: Any) -> Any:
    """One chat request, greedy and short unless the fields say otherwise."""
    create: Any = client.chat.completions.create
    request = {"model": target.model, "messages": HELLO, "temperature": 0, "seed": 7, "max_tokens": 8, **fields}
    return create(**request)
