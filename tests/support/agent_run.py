"""An agent with one tool, of a framework that sends spans: `python agent_run.py FRAMEWORK URL KEY PROMPT`, run in the
environment of `make setup-agents`. It asks the gateway at URL and sends its spans there; prints what the agent said."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

INSTRUCTIONS = "Told the agent: SECRET-INSTRUCTIONS"
RESULT = "Told by the tool: SECRET-RESULT"


def weather(city: str) -> str:
    """The weather of a city."""
    return f"{RESULT} {city}"


def openai_agents(client: AsyncOpenAI, provider: TracerProvider, prompt: str) -> str:
    """OpenAI's SDK; its spans have OpenInference's names."""
    from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool
    from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

    OpenAIAgentsInstrumentor().instrument(tracer_provider=provider)  # in place of what sends to OpenAI

    model = OpenAIChatCompletionsModel("small", client)
    agent: Any = Agent(name="Guide", instructions=INSTRUCTIONS, tools=[function_tool(weather)], model=model)
    return str(asyncio.run(Runner.run(agent, prompt)).final_output)


def pydantic_ai(client: AsyncOpenAI, provider: TracerProvider, prompt: str) -> str:
    """Pydantic AI; its spans have OpenTelemetry's names."""
    from pydantic_ai import Agent
    from pydantic_ai.models.instrumented import InstrumentationSettings
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    Agent.instrument_all(InstrumentationSettings(tracer_provider=provider))
    model = OpenAIChatModel("small", provider=OpenAIProvider(openai_client=client))
    agent: Any = Agent(model, name="Guide", instructions=INSTRUCTIONS, tools=[weather])
    return str(agent.run_sync(prompt).output)


async def _join(request: Any) -> None:
    """What the instrumentation of an HTTP client does: the request is part of the trace."""
    propagate.inject(request.headers)


def main(framework: str, url: str, key: str, prompt: str) -> None:
    """Runs one agent to its end, its last span included."""
    provider = TracerProvider(resource=Resource.create({"service.name": framework}))
    exporter = OTLPSpanExporter(endpoint=f"{url}/v1/traces", headers={"authorization": f"Bearer {key}"})
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    http = DefaultAsyncHttpxClient(event_hooks={"request": [_join]})
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key=key, http_client=http)
    print({"openai-agents": openai_agents, "pydantic-ai": pydantic_ai}[framework](client, provider, prompt))
    provider.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
