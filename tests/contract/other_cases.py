"""The cases of completions, embeddings and models, and of what is refused."""

from __future__ import annotations

from typing import Any

import openai

from tests.contract.asking import CHAT, EMBED, OWN, TEXT, Target, case, chat
from tests.contract.results import joined, plain


def complete(client: openai.OpenAI, target: Target, **fields: Any) -> Any:
    """One text completion, greedy and short unless the fields say otherwise."""
    create: Any = client.completions.create
    request = {"model": target.model, "prompt": "Once upon", "temperature": 0, "seed": 7, "max_tokens": 8, **fields}
    return create(**request)


def embed(client: openai.OpenAI, target: Target, **fields: Any) -> Any:
    """One embedding request."""
    create: Any = client.embeddings.create
    return create(**{"model": target.model, "input": "Salt and water.", **fields})


# --- text completions --------------------------------------------------------------------------------------


@case(TEXT)
def completion_plain(client: openai.OpenAI, target: Target) -> Any:
    return plain(complete(client, target))


@case(TEXT)
def completion_two_prompts(client: openai.OpenAI, target: Target) -> Any:
    return plain(complete(client, target, prompt=["Once upon", "In the"], max_tokens=3))


@case(TEXT)
def completion_token_ids(client: openai.OpenAI, target: Target) -> Any:
    return plain(complete(client, target, prompt=[300, 301, 302]))


@case(TEXT)
def completion_lists_of_token_ids(client: openai.OpenAI, target: Target) -> Any:
    return plain(complete(client, target, prompt=[[300, 301], [302, 303, 304]], max_tokens=3))


@case(TEXT)
def completion_stream(client: openai.OpenAI, target: Target) -> Any:
    return joined(complete(client, target, stream=True))


@case(TEXT)
def completion_stream_with_usage(client: openai.OpenAI, target: Target) -> Any:
    return joined(complete(client, target, stream=True, stream_options={"include_usage": True}))


@case(TEXT)
def completion_stream_token_ids(client: openai.OpenAI, target: Target) -> Any:
    return joined(complete(client, target, prompt=[300, 301, 302], stream=True))


@case(TEXT)
def completion_logprobs(client: openai.OpenAI, target: Target) -> Any:
    return plain(complete(client, target, logprobs=1, max_tokens=3))


@case(TEXT)
def completion_two_choices(client: openai.OpenAI, target: Target) -> Any:
    return plain(complete(client, target, n=2, temperature=0.8, max_tokens=3))


@case(TEXT)
def completion_echo_and_stop(client: openai.OpenAI, target: Target) -> Any:
    return plain(complete(client, target, echo=True, stop="e"))


# --- embeddings -------------------------------------------------------------------------------------


@case(EMBED)
def embedding_text(client: openai.OpenAI, target: Target) -> Any:
    """The package asks for base64 by itself and gives numbers."""
    return plain(embed(client, target))


@case(EMBED)
def embedding_texts(client: openai.OpenAI, target: Target) -> Any:
    return plain(embed(client, target, input=["Salt.", "Water and 漢字.", "A lock lifts boats."]))


@case(EMBED)
def embedding_floats(client: openai.OpenAI, target: Target) -> Any:
    return plain(embed(client, target, encoding_format="float"))


@case(EMBED)
def embedding_base64(client: openai.OpenAI, target: Target) -> Any:
    return plain(embed(client, target, encoding_format="base64"))


@case(EMBED)
def embedding_token_ids(client: openai.OpenAI, target: Target) -> Any:
    return plain(embed(client, target, input=[300, 301, 302]))


@case(EMBED)
def embedding_lists_of_token_ids(client: openai.OpenAI, target: Target) -> Any:
    return plain(embed(client, target, input=[[300, 301], [302, 303, 304]]))


@case(EMBED)
def embedding_of_nothing(client: openai.OpenAI, target: Target) -> Any:
    return plain(embed(client, target, input=[]))


# --- what a server refuses -------------------------------------------------------------------------------------


@case(CHAT)
def refused_temperature(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, temperature=-1))


@case(CHAT)
def refused_temperature_in_a_stream(client: openai.OpenAI, target: Target) -> Any:
    return joined(chat(client, target, temperature=-1, stream=True))


@case(CHAT)
def refused_type(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, temperature="hot"))


@case(CHAT)
def refused_prompt_too_long(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, messages=[{"role": "user", "content": "water " * 9000}]))


@case(TEXT)
def refused_completion(client: openai.OpenAI, target: Target) -> Any:
    return plain(complete(client, target, max_tokens=-3))


# --- what the gateway answers itself ---------------------------------------------------------------------------


@case(OWN)
def models_listed(client: openai.OpenAI, target: Target) -> Any:
    models = client.models.list()
    return {"names": sorted(model.id for model in models), "objects": sorted({model.object for model in models})}


@case(OWN)
def model_retrieved(client: openai.OpenAI, target: Target) -> Any:
    model = client.models.retrieve(target.model)
    return {"name": model.id, "object": model.object}


@case(OWN)
def model_with_slash_retrieved(client: openai.OpenAI, target: Target) -> Any:
    return {"name": client.models.retrieve(target.slash_model).id}


@case(OWN)
def model_with_slash_retrieved_unescaped(client: openai.OpenAI, target: Target) -> Any:
    """As older versions of the package, and curl, write the path."""
    found: Any = client.get(f"/models/{target.slash_model}", cast_to=object)
    return {"name": found["id"]}


@case(OWN)
def unknown_model_retrieved(client: openai.OpenAI, target: Target) -> Any:
    return client.models.retrieve("no-such-model").id


@case(OWN)
def unknown_model_asked(client: openai.OpenAI, target: Target) -> Any:
    return plain(chat(client, target, model="no-such-model"))


@case(OWN)
def refused_without_messages(client: openai.OpenAI, target: Target) -> Any:
    return plain(client.post("/chat/completions", body={"model": target.model, "max_tokens": 4}, cast_to=object))


@case(OWN)
def unknown_path(client: openai.OpenAI, target: Target) -> Any:
    return client.post("/nothing/here", body={}, cast_to=object)


@case(OWN)
def wrong_key(client: openai.OpenAI, target: Target) -> Any:
    with target.client(api_key="not-a-key") as stranger:
        return plain(chat(stranger, target))


@case(OWN)
def wrong_key_lists_models(client: openai.OpenAI, target: Target) -> Any:
    with target.client(api_key="not-a-key") as stranger:
        return [model.id for model in stranger.models.list()]


@case(OWN)
def request_ids_differ(client: openai.OpenAI, target: Target) -> Any:
    ids = [client.models.with_raw_response.list().headers.get("x-request-id") for _ in range(2)]
    return {"given": all(ids), "different": ids[0] != ids[1]}
