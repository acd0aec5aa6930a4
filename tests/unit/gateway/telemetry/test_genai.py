from __future__ import annotations

import pytest

from gateway.telemetry import genai

PUBLISHED = {
    # https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
    "gen_ai.operation.name": str,
    "gen_ai.provider.name": str,
    "gen_ai.conversation.id": str,
    "gen_ai.request.model": str,
    "gen_ai.request.stream": bool,
    "gen_ai.response.finish_reasons": tuple,
    "gen_ai.response.time_to_first_chunk": float,
    "gen_ai.usage.input_tokens": int,
    "gen_ai.usage.cache_read.input_tokens": int,
    "gen_ai.usage.output_tokens": int,
    "gen_ai.usage.reasoning.output_tokens": int,
    # https://opentelemetry.io/docs/specs/semconv/http/http-spans/
    "error.type": str,
    "http.request.method": str,
    "http.request.body.size": int,
    "http.response.body.size": int,
    "http.response.status_code": int,
    "http.route": str,
    "server.address": str,
    "server.port": int,
    "url.path": str,
    "url.scheme": str,
}
"""Names and types as the conventions give them; read in November 2026."""


def test_every_name_is_the_conventions_or_in_our_own_namespace_with_its_type() -> None:
    foreign = {name: kind for name, kind in genai.TYPES.items() if not name.startswith("lockgate.")}
    assert foreign == PUBLISHED


def test_every_name_of_an_attribute_has_a_type() -> None:
    texts = {value for name, value in vars(genai).items() if name.isupper() and isinstance(value, str)}
    others = {genai.SCHEMA_URL, genai.CHECK_EVENT, genai.SERVICE_NAME, genai.SERVICE_VERSION, genai.SERVICE_INSTANCE}
    assert texts - others == set(genai.TYPES)


def test_the_names_are_those_of_the_published_package() -> None:
    pytest.importorskip("opentelemetry.semconv", reason="the package opentelemetry-semantic-conventions is missing")
    from opentelemetry.semconv._incubating.attributes import (
        error_attributes,
        gen_ai_attributes,
        http_attributes,
        server_attributes,
        url_attributes,
    )

    modules = (gen_ai_attributes, error_attributes, http_attributes, server_attributes, url_attributes)
    names = {value for module in modules for name, value in vars(module).items() if name.isupper()}
    assert set(PUBLISHED) <= names
    operations = {each.value for each in gen_ai_attributes.GenAiOperationNameValues}
    assert {"chat", "text_completion", "embeddings"} <= operations
    assert set(genai.OPERATIONS.values()) - operations == {"rerank", "score", "transcription"}
    providers = {each.value for each in gen_ai_attributes.GenAiProviderNameValues}
    assert set(genai.PROVIDERS.values()) - providers <= {"moonshot_ai"}  # younger than the package
