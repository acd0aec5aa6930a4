"""Real agents of two frameworks, with real exporters of spans, before a running gateway."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.store import manifest, span_rows, trace_read
from gateway.store.trace_read import Asked
from tests.support import otlp
from tests.support.gateway_process import KEY, ROOT, minimal, serving

PYTHON = ROOT / ".venv-agents/bin/python"
PROMPT = "SECRET-PROMPT"
ANSWER = "SECRET-ANSWER"
RUN_S = 200.0

pytestmark = [pytest.mark.agents, pytest.mark.timeout(400)]


@pytest.mark.parametrize("framework", ["openai-agents", "pydantic-ai"])
def test_a_run_with_a_tool_is_one_tree_with_the_gateways_part_in_it(tmp_path: Path, framework: str) -> None:
    otlp.require()
    if not PYTHON.exists():
        pytest.skip("the environment of the agents' frameworks is missing (`make setup-agents`)")
    script = tmp_path / "script.yaml"
    call = {"match": PROMPT, "times": 1, "tool_calls": [{"name": "weather", "arguments": {"city": "Paris"}}]}
    script.write_text(json.dumps({"rules": [call, {"answer": ANSWER}]}))
    price = {"input": "$1/1M", "output": "$2/1M"}
    configuration = minimal(
        backends={"scripted": {"kind": "fake", "script": str(script)}},
        models={"small": {"backend": "scripted", "price": price}},
    )
    with serving(tmp_path / "gateway", configuration) as gateway:
        command = [str(PYTHON), str(ROOT / "tests/support/agent_run.py"), framework, gateway.data, KEY, PROMPT]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False)
        assert (done.returncode, done.stdout.strip()) == (0, ANSWER), done.stderr
        gateway.stop()
        state_dir = gateway.state_dir
    (line,) = trace_read.newest(state_dir, Asked())
    ((_, trace, agent, requests, cut),) = trace_read.read(state_dir, line.trace)
    assert (line.requests, line.agent_spans, line.service, cut) == (2, len(agent), framework, False)
    by_operation = {
        operation: [one for one in agent if one.operation == operation] for operation in ("chat", "execute_tool")
    }
    chats, (tool,) = by_operation["chat"], by_operation["execute_tool"]
    assert "weather" in (tool.tool, tool.name)
    assert "invoke_agent" in {one.operation for one in agent}
    assert any("Guide" in (one.agent, one.name) for one in agent)
    assert len(chats) == len(requests) == 2
    for chat, request in zip(chats, requests, strict=True):
        assert (chat.model, chat.error) == ("small", False)
        assert request.traceparent[3:52] == f"{trace}-{chat.span}"
        assert request.charge_nanos
        said, billed = (
            (
                (one.input_tokens or 0) + (one.cached_input_tokens or 0),
                (one.output_tokens or 0) + (one.reasoning_tokens or 0),
            )
            for one in (chat, request)
        )
        assert said == billed
    # What was said is nowhere: not in the table, not in what is shown.
    assert sum(one.left_out for one in agent) > 0
    stored = manifest.read(state_dir).spans
    assert sum(file.rows for file in stored) == len(agent)
    assert b"SECRET" not in span_rows.lines(agent)
    shown = (
        CliRunner()
        .invoke(main, ["traces", "show", trace, "--state-dir", str(state_dir)], catch_exceptions=False)
        .output
    )
    assert shown.count("▸ POST /v1/chat/completions") == 2
    assert "weather" in shown
    assert "SECRET" not in shown
    assert max(map(len, shown.splitlines()[:-1])) <= 100
