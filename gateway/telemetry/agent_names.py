"""What agents' frameworks call the things that spans have columns for here: OpenTelemetry's GenAI conventions with
their earlier names (https://github.com/open-telemetry/semantic-conventions-genai), and OpenInference
(https://github.com/Arize-ai/openinference/blob/main/spec/semantic_conventions.md). Both read in November 2026.

The first name of a column that a span has counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

OPERATION: Final = ("gen_ai.operation.name", "openinference.span.kind", "traceloop.span.kind")
MODEL: Final = (
    *("gen_ai.request.model", "llm.request.model_name", "llm.model_name", "embedding.model_name"),
    *("reranker.model_name", "gen_ai.response.model", "llm.response.model_name"),
)
PROVIDER: Final = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
AGENT: Final = ("gen_ai.agent.name", "agent.name", "graph.node.name")
TOOL: Final = ("gen_ai.tool.name", "tool.name")
CONVERSATION: Final = ("gen_ai.conversation.id", "session.id")
END_USER: Final = ("user.id", "enduser.id")
ERROR_TYPE: Final = ("error.type", "exception.type")

INPUT_TOKENS: Final = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
"""All of them: those read from a cache are among them, by both conventions."""
CACHED_TOKENS: Final = (
    *("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.details.cache_read_tokens"),
    "llm.token_count.prompt_details.cache_read",
)
OUTPUT_TOKENS: Final = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")
"""All of them: those of the reasoning are among them."""
REASONING_TOKENS: Final = (
    *("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.details.reasoning_tokens"),
    "llm.token_count.completion_details.reasoning",
)
COST_USD: Final = ("llm.cost.total", "operation.cost", "gen_ai.usage.cost")

SERVICE: Final = ("service.name",)
"""Of the resource."""

OPERATIONS: Final[Mapping[str, str]] = {
    "LLM": "chat",
    "EMBEDDING": "embeddings",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
    "RETRIEVER": "retrieval",
    "RERANKER": "rerank",
    "CHAIN": "chain",
    "GUARDRAIL": "guardrail",
    "EVALUATOR": "evaluation",
    "PROMPT": "prompt",
    "workflow": "invoke_workflow",
    "task": "chain",
    "agent": "invoke_agent",
    "tool": "execute_tool",
    "generate_content": "chat",
}
"""OpenTelemetry's words for others' (Traceloop's in lower case); where it has none, OpenInference's in lower case. Any
other word stays as it is."""

_MORE_TEXTS: Final = (
    *("gen_ai.agent.id", "gen_ai.tool.call.id", "gen_ai.tool.type", "gen_ai.output.type", "gen_ai.response.id"),
    *("gen_ai.response.finish_reasons", "gen_ai.data_source.id", "gen_ai.workflow.name", "gen_ai.prompt.name"),
    *("llm.finish_reason", "tool.id", "tag.tags", "prompt.id", "prompt.vendor", "graph.node.id"),
    *("graph.node.parent_id", "http.request.method", "http.route", "server.address", "mcp.method.name"),
    *("service.version", "service.namespace", "service.instance.id", "deployment.environment.name"),
    *("telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version"),
)
_KEPT: Final = frozenset(
    (
        *(*OPERATION, *MODEL, *PROVIDER, *AGENT, *TOOL, *CONVERSATION, *END_USER, *ERROR_TYPE, *SERVICE),
        *_MORE_TEXTS,
    )
)


def kept(name: str) -> bool:
    """Whether a text of this name is kept. Only names that are known to hold nothing that was said: prompts, answers,
    arguments and results of tools, and what errors say may stand under any other."""
    return name in _KEPT
