"""Chains in the words of `lockgate check`."""

from __future__ import annotations

from typing import Any

from gateway.config import describe, describe_chains
from gateway.config.model import V2, AnyModel, Backend, Config, Endpoint, Key, Model, Onnx, Tenant, Vllm
from guardrails.settings import chain_of
from guardrails.verdict import Phase

SECRETS: dict[str, Any] = {"check": "secrets", "phase": ["output", "input"], "action": "mask"}
TOXICITY: dict[str, Any] = {"check": "toxicity", "phase": "output", "action": "block", "deadline_ms": 300}
INJECTION: dict[str, Any] = {"check": "injection", "phase": "input", "action": "block", "on_failure": "fail_open"}
TOOLS: dict[str, Any] = {"check": "tools", "phase": "tool_call", "allow": ["search"]}
SCHEMA: dict[str, Any] = {"check": "schema", "phase": "output", "action": "block", "schema": {"type": "object"}}


def test_a_chain_says_for_whom_what_and_what_it_holds_back() -> None:
    config = Config(
        models={"m": Model(backend="b", chain="strict")},
        tenants={
            "acme": Tenant(models=("*",), chain="standard", keys={"k": Key(digest=b"1" * 32, chain="strict")}),
            **{f"t{number}": Tenant(models=("*",), chain="strict") for number in range(8)},
        },
        chains={
            "standard": (SECRETS, {**TOXICITY, "mode": "observe"}, TOOLS),
            "strict": (TOXICITY, INJECTION),
            "idle": (),
        },
    )
    assert list(describe_chains.chains(config)) == [
        ("standard", "for tenant acme"),
        ("", "secrets on input, output: mask"),
        ("", "toxicity on output: block, only observed; fail_closed where it cannot judge within 300 ms"),
        ("", "tools, at every call: block what is not allowed"),
        ("", "holds back on input: what may become a match, while it may (secrets)"),
        ("", "holds back on output: what may become a match, while it may (secrets)"),
        ("strict", "for tenants t0, t1, t2, t3, t4, t5 and 2 more; key acme/k; model m"),
        ("", "toxicity on output: block; fail_closed where it cannot judge within 300 ms"),
        ("", "injection on input: block; fail_open where it cannot judge"),
        ("", "holds back on input: everything, until the whole text is judged (injection)"),
        ("", "holds back on output: a sentence of 60 to 600 characters, until it is judged (toxicity)"),
        ("idle", "for nobody"),
    ]
    lines = list(describe.describe(config, 0))
    assert "Chains" in lines
    assert "  standard  for tenant acme" in lines


def test_a_check_of_whole_answers_holds_everything() -> None:
    chain = chain_of("c", [SECRETS, SCHEMA])
    assert describe_chains.held(chain, Phase.OUTPUT).startswith("everything, until the whole text is judged (schema")
    assert describe_chains.held(chain, Phase.TOOL_RESULT) == "nothing"


def test_where_there_are_classic_models_a_chain_says_what_it_reads_of_them() -> None:
    backends: dict[str, Backend] = {
        "v": V2(endpoints=(Endpoint(url="http://a:1"),)),
        "b": Vllm(endpoints=(Endpoint(url="http://a:2"),)),
    }
    models: dict[str, AnyModel] = {
        "onnx": Onnx(versions={"1": "a.onnx"}, chain="strict"),
        "v": Model(backend="v"),
        "b": Model(backend="b"),
    }
    found = {}
    for name, model in models.items():
        config = Config(backends=backends, models={name: model}, chains={"strict": (SECRETS,)})
        found[name] = [line for _, line in describe_chains.chains(config)]
    told = "of models under /v2: texts (BYTES) are checked whole; numbers are not read"
    assert [told in lines for lines in found.values()] == [True, True, False]
    assert found["onnx"][0] == "for model onnx"
