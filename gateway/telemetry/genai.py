"""Every name and word of our spans that OpenTelemetry's semantic conventions define, and those of our own.

Names follow the GenAI conventions (https://github.com/open-telemetry/semantic-conventions-genai, read in November 2026,
built on the general conventions 1.41.1) and the stable ones for HTTP, errors and servers. A test compares them with the
package `opentelemetry-semantic-conventions`. What is not known is left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.41.0"

OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
"""All of them: those read from a cache are among them."""
CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
"""All of them: those of the reasoning are among them."""
REASONING_OUTPUT_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"

ERROR_TYPE: Final = "error.type"
HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"
REQUEST_BODY_SIZE: Final = "http.request.body.size"
RESPONSE_BODY_SIZE: Final = "http.response.body.size"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
URL_PATH: Final = "url.path"
URL_SCHEME: Final = "url.scheme"
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE: Final = "service.instance.id"

REQUEST_ID: Final = "lockgate.request.id"
TENANT: Final = "lockgate.tenant"
KEY: Final = "lockgate.key"
"""The key's name, never the key."""
PROJECT: Final = "lockgate.project"
MODEL: Final = "lockgate.model"
"""The alias the caller asked for."""
CHAIN: Final = "lockgate.chain"
"""Of checks."""
SNAPSHOT: Final = "lockgate.snapshot"
CODE: Final = "lockgate.code"
OUTCOME: Final = "lockgate.outcome"
CHARGE: Final = "lockgate.charge.usd_nanos"
WASTE_TOKENS: Final = "lockgate.waste.tokens"
WASTE: Final = "lockgate.waste.usd_nanos"
ACTION: Final = "lockgate.meters.action"
BACKEND: Final = "lockgate.backend"
ATTEMPT_NUMBER: Final = "lockgate.attempt.number"
ATTEMPT_REASON: Final = "lockgate.attempt.reason"
ENDPOINT_CHOICE: Final = "lockgate.attempt.choice"
MODEL_VERSION: Final = "lockgate.model.version"
ROWS: Final = "lockgate.rows"

CHECK_EVENT: Final = "lockgate.check"
"""The event of a verdict, and how spans of checks begin. The conventions of guardrails were still drafts."""
CHECK_PHASE: Final = "lockgate.check.phase"
CHECK_NAME: Final = "lockgate.check.name"
CHECK_CODE: Final = "lockgate.check.code"
CHECK_ACTION: Final = "lockgate.check.action"
CHECK_SCORE: Final = "lockgate.check.score"
CHECK_COUNT: Final = "lockgate.check.count"
CHECK_STAGE: Final = "lockgate.check.stage"
"""What was looked at: the request, or the answer."""
CHECK_SPENT: Final = "lockgate.check.spent_us"
CHECK_PIECES: Final = "lockgate.check.pieces"
CHECK_ASKED: Final = "lockgate.check.asked"
"""So many questions."""

TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    **dict.fromkeys((OPERATION_NAME, PROVIDER_NAME, CONVERSATION_ID, REQUEST_MODEL), str),
    **dict.fromkeys((ERROR_TYPE, HTTP_METHOD, HTTP_ROUTE, SERVER_ADDRESS, URL_PATH, URL_SCHEME), str),
    **dict.fromkeys((INPUT_TOKENS, CACHE_READ_INPUT_TOKENS, OUTPUT_TOKENS, REASONING_OUTPUT_TOKENS), int),
    **dict.fromkeys((HTTP_STATUS, REQUEST_BODY_SIZE, RESPONSE_BODY_SIZE, SERVER_PORT), int),
    REQUEST_STREAM: bool,
    FINISH_REASONS: tuple,
    TIME_TO_FIRST_CHUNK: float,
    **dict.fromkeys((REQUEST_ID, TENANT, KEY, PROJECT, MODEL, CHAIN, SNAPSHOT, CODE, OUTCOME, ACTION, BACKEND), str),
    **dict.fromkeys((ATTEMPT_REASON, ENDPOINT_CHOICE, MODEL_VERSION), str),
    **dict.fromkeys((CHARGE, WASTE_TOKENS, WASTE, ATTEMPT_NUMBER, ROWS), int),
    **dict.fromkeys((CHECK_COUNT, CHECK_SPENT, CHECK_PIECES, CHECK_ASKED), int),
    **dict.fromkeys((CHECK_PHASE, CHECK_NAME, CHECK_CODE, CHECK_ACTION, CHECK_STAGE), str),
    CHECK_SCORE: float,
}
"""The type of each attribute's value; a tuple holds texts."""

OPERATIONS: Final[Mapping[str, str]] = {
    "chat": "chat",
    "messages": "chat",
    "responses": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "rerank": "rerank",
    "score": "score",
    "transcriptions": "transcription",
}
"""By a record's endpoint. The last three are our own words: the conventions have none."""

PROVIDERS: Final[Mapping[str, str]] = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""litellm's names, where the conventions have another."""

ROUTES: Final[Mapping[str, str]] = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "messages": "/v1/messages",
    "messages_count": "/v1/messages/count_tokens",
    "responses": "/v1/responses",
    "rerank": "/v1/rerank",
    "score": "/v1/score",
    "transcriptions": "/v1/audio/transcriptions",
    "moderations": "/v1/moderations",
    "traces": "/v1/traces",
}
"""By a record's endpoint, where it says which path was asked; all of them are POSTs."""
