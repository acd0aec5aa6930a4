from __future__ import annotations

import pytest

from gateway.telemetry import agent_names

SAID = (
    *("input.value", "output.value", "llm.input_messages.0.message.content", "llm.output_messages", "llm.prompts"),
    *("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.prompt"),
    *("gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.tool.definitions", "llm.tools"),
    *("tool.parameters", "tool.description", "retrieval.documents", "exception.message", "exception.stacktrace"),
    *("metadata", "llm.invocation_parameters", "pydantic_ai.all_messages", "tool_arguments", "tool_response"),
    *("final_result", "logfire.msg", "traceloop.entity.input", "traceloop.entity.output", "db.query.text", "url.full"),
)


@pytest.mark.parametrize("name", SAID)
def test_what_was_said_is_not_kept(name: str) -> None:
    assert not agent_names.kept(name)


def test_nothing_is_kept_whose_name_nobody_knows() -> None:
    assert not agent_names.kept("acme.question")


def test_names_are_those_of_the_published_conventions() -> None:
    incubating = pytest.importorskip("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    published = {value for name, value in vars(incubating).items() if name.startswith("GEN_AI_")}
    ours = {
        name
        for column in (agent_names.OPERATION, agent_names.PROVIDER, agent_names.MODEL, agent_names.AGENT)
        for name in (*column, *agent_names.TOOL, *agent_names.CONVERSATION)
        if name.startswith("gen_ai.")
    }
    assert ours <= published
    assert {agent_names.INPUT_TOKENS[0], agent_names.OUTPUT_TOKENS[0]} <= published
