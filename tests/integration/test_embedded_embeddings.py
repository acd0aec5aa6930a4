"""The real embedding model on ONNX Runtime, through its server."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from gateway.backends import embedded_models
from gateway.backends.embedded_embeddings import DIMENSIONS, MAX_INPUT_TOKENS, MAX_WAITING
from tests.support.server_process import ServerProcess, serving

EMBEDDINGS = "gateway.backends.embedded_embeddings"
BEGIN, END = 101, 102  # [CLS] and [SEP] of the model's vocabulary

pytestmark = [
    pytest.mark.embeddings,
    pytest.mark.skipif(
        embedded_models.missing("minilm") is not None, reason="onnxruntime or the model's packages are absent"
    ),
]


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving(EMBEDDINGS) as server:
        yield server


@pytest.fixture
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def embed(client: httpx.Client, inputs: object, **fields: Any) -> httpx.Response:
    return client.post("/v1/embeddings", json={"model": "minilm", "input": inputs, **fields})


def vectors(client: httpx.Client, inputs: object) -> list[list[float]]:
    return [entry["embedding"] for entry in embed(client, inputs).json()["data"]]


def cosine(left: list[float], right: list[float]) -> float:
    return sum(x * y for x, y in zip(left, right, strict=True))


def test_texts_of_one_meaning_are_near_and_vectors_have_length_one(client: httpx.Client) -> None:
    food, meal, sky = vectors(client, ["A man is eating food.", "Someone eats a meal.", "The sky is blue."])
    assert len(food) == DIMENSIONS
    assert math.isclose(cosine(food, food), 1.0, rel_tol=1e-5)
    assert cosine(food, meal) > 0.6 > 0.2 > cosine(food, sky)


def test_the_sdks_base64_holds_the_same_vectors_as_floats(server: ServerProcess, client: httpx.Client) -> None:
    with openai.OpenAI(base_url=server.address + "/v1", api_key="any", max_retries=0) as sdk:
        answer = sdk.embeddings.create(model="minilm", input="one text")
    assert answer.data[0].embedding == pytest.approx(vectors(client, "one text")[0])
    assert answer.model == "minilm"


def test_the_order_of_the_inputs_is_kept_whatever_the_batches(client: httpx.Client) -> None:
    texts = [("word " * (number * 7 % 40 + 1)) + str(number) for number in range(50)]
    together = vectors(client, texts)
    for number in (0, 17, 49):  # padding beside longer texts moves int8 results a little
        assert cosine(together[number], vectors(client, texts[number])[0]) > 0.99


def test_token_ids_are_the_text_they_stand_for_and_are_counted_with_begin_and_end(client: httpx.Client) -> None:
    hello = 7592
    text, bare, framed = (embed(client, form).json() for form in ("hello", [hello], [[BEGIN, hello, END]]))
    assert text["usage"] == bare["usage"] == framed["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert text["data"] == bare["data"] == framed["data"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input[0]"),
        ({"input": ["x", ""]}, "input[1]"),
        ({"input": "a " * MAX_INPUT_TOKENS}, "input[0]"),
        ({"input": ["x"] * 40 + ["a " * MAX_INPUT_TOKENS]}, "input[40]"),
        ({"input": "a" * 40_000}, "input[0]"),
        ({"input": [99_999_999]}, "input[0]"),
        ({"input": "x", "dimensions": 128}, "dimensions"),
        ({"input": "x", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "x", "model": None}, "model"),
    ],
)
def test_what_cannot_be_embedded_is_refused_by_name(client: httpx.Client, fields: dict[str, Any], param: str) -> None:
    answer = client.post("/v1/embeddings", json={"model": "minilm", **fields})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_its_only_dimensions_may_be_asked_for(client: httpx.Client) -> None:
    assert embed(client, "x", dimensions=DIMENSIONS).status_code == 200


def test_health_and_short_requests_are_answered_while_a_long_one_runs(server: ServerProcess) -> None:
    ended: list[str] = []

    def long() -> None:
        with server.client() as client:
            assert embed(client, ["word " * 100] * 60).status_code == 200
        ended.append("long")

    thread = threading.Thread(target=long)
    thread.start()
    with server.client() as client:
        assert client.get("/health").status_code == 200
        assert embed(client, "short").status_code == 200
        ended.append("short")
    thread.join(60)
    assert ended == ["short", "long"]


def test_more_requests_than_can_wait_are_told_to_come_back(server: ServerProcess) -> None:
    answers: list[httpx.Response] = []

    def ask() -> None:
        with server.client() as client:
            answers.append(embed(client, "word " * 100))

    threads = [threading.Thread(target=ask) for _ in range(2 * MAX_WAITING)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    statuses = [answer.status_code for answer in answers]
    assert len(statuses) == 2 * MAX_WAITING
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= MAX_WAITING
    assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status_code == 503)


def test_models_are_listed_and_nothing_else_is_here(client: httpx.Client) -> None:
    assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["minilm"]
    assert client.get("/v1/embeddings").status_code == 405
    assert client.post("/v1/chat/completions", json={}).status_code == 404


def test_it_ends_on_sigterm() -> None:
    with serving(EMBEDDINGS, "--served-name", "other") as server:
        with server.client() as client:
            assert embed(client, "x").json()["model"] == "other"
        assert server.stop() == 0
