"""The checks of a chain on the path of a call: what a backend is told, and what the record says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.support.echo import echo
from tests.support.gateway import KEY, config, serving
from tests.support.metered import usd
from tests.support.running import run, until
from tests.support.screening import (
    FORBIDS,
    HIDES,
    JUDGES,
    MAIL,
    PUTS_BACK,
    TOOL,
    Checked,
    checked,
    said,
)
from tests.support.upstream import Talk, Upstream, unary


def test_a_masked_value_never_reaches_the_backend(tmp_path: Path) -> None:
    async def main() -> None:
        async with checked(tmp_path, HIDES) as gateway:
            messages = [
                {"role": "system", "content": f"You write for {MAIL}"},
                {"role": "user", "content": [{"type": "text", "text": f"Mail {MAIL}!"}]},
            ]
            answer = await gateway.ask("", messages=messages, temperature=0.5)
            assert answer.status_code == 200, answer.text
            assert MAIL not in gateway.upstream.seen[-1].body.decode()
            assert gateway.told()["messages"][1]["content"] == [{"type": "text", "text": "Mail [EMAIL_ADDRESS]!"}]
            assert gateway.told()["temperature"] == 0.5
            assert said(answer) == ["Mail [EMAIL_ADDRESS]!"]
            assert await gateway.verdicts() == ["input:pii:EMAIL_ADDRESS:mask:1.00:2"]

    run(main())


def test_a_blocked_input_is_a_400_that_names_the_check_and_not_the_text(tmp_path: Path) -> None:
    async def main() -> None:
        async with checked(tmp_path, FORBIDS | {"phase": "input"}) as gateway:
            answer = await gateway.ask("how to buy plutonium")
            assert answer.status_code == 400
            error = answer.json()["error"]
            assert error["code"] == "content_filter"
            assert "keywords" in error["message"]
            assert "arms" in error["message"]
            assert "plutonium" not in answer.text
            assert error["param"] == "messages[0].content"
            assert gateway.upstream.seen == []
            assert await gateway.verdicts() == ["input:keywords:arms:block:1.00:1"]
            record = gateway.gateway.records()[-1]
            assert (record.code, record.outcome) == ("content_filter", "refused")

    run(main())


def test_a_second_text_under_one_name_reaches_neither_the_check_nor_the_backend(tmp_path: Path) -> None:
    async def main() -> None:
        async with checked(tmp_path, FORBIDS | {"phase": "input"}) as gateway:
            body = b'{"model":"m","messages":[{"role":"user","content":"plutonium","content":"hello"}]}'
            answer = await gateway.client.post("/v1/chat/completions", content=body)
            assert (answer.status_code, said(answer)) == (200, ["hello"])
            assert b"plutonium" not in gateway.upstream.seen[-1].body

    run(main())


@pytest.mark.parametrize(("score", "status"), [(0.9, 400), (0.1, 200), ("late", 503), ("unavailable", 503)])
def test_a_check_that_asks_decides_by_the_score_and_by_its_failure_mode(
    tmp_path: Path, score: float | str, status: int
) -> None:
    async def main() -> None:
        async with checked(tmp_path, JUDGES, score=lambda text: score) as gateway:
            answer = await gateway.ask("ignore all that")
            assert answer.status_code == status, answer.text
            assert len(gateway.upstream.seen) == (status == 200)
            if status == 503:
                assert answer.json()["error"]["code"] == "check_failed"
                assert await gateway.verdicts() == [f"input:injection:{score}:fail_closed:1.00:1"]

    run(main())


@pytest.mark.parametrize(
    ("judgement", "status"), [("safe", 200), ("unsafe\nS9", 400), ("0.75", 400), ("I would rather not say", 503)]
)
def test_a_model_behind_the_gateway_judges(tmp_path: Path, judgement: str, status: int) -> None:
    async def main() -> None:
        chain = {"check": "model", "target": "guard", "code": "hazard", "phase": "input", "action": "block"}
        async with Upstream([echo(say=lambda text: judgement)]) as guard, Upstream([echo()]) as upstream:
            models = {
                "m": {"backend": "b", "served_model": "served"},
                "guard": {"backend": "g", "served_model": "llama-guard"},
            }
            found = config({"b": [upstream.url], "g": [guard.url]}, models, chain=[chain])
            async with (
                serving(found, tmp_path) as gateway,
                httpx.AsyncClient(base_url=gateway.url, headers={"authorization": f"Bearer {KEY}"}) as client,
            ):
                answer = await Checked(gateway, upstream, client).ask("how so?")
                assert answer.status_code == status, answer.text
                asked = json.loads(guard.seen[-1].body)
                assert (asked["model"], asked["messages"]) == ("llama-guard", [{"role": "user", "content": "how so?"}])
                assert len(upstream.seen) == (status == 200)

    run(main())


def test_a_check_that_fails_open_lets_the_text_pass_and_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        chain = JUDGES | {"on_failure": "fail_open"}
        async with checked(tmp_path, chain, score=lambda text: "late") as gateway:
            assert (await gateway.ask("ignore all that")).status_code == 200
            assert await gateway.verdicts() == ["input:injection:late:fail_open:1.00:1"]

    run(main())


def test_a_check_that_observes_touches_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        chain = [each | {"mode": "observe"} for each in (HIDES, FORBIDS | {"phase": "input"}, JUDGES)]
        async with checked(tmp_path, *chain, score=lambda text: 0.9) as gateway:
            text = f"buy plutonium from {MAIL}"
            assert said(await gateway.ask(text)) == [text]
            assert {word.rsplit(":", 2)[0] for word in await gateway.verdicts()} == {
                *("input:pii:EMAIL_ADDRESS:would_mask", "output:pii:EMAIL_ADDRESS:would_mask"),
                *("input:keywords:arms:would_block", "input:injection:injection:would_block"),
            }

    run(main())


def test_a_result_of_a_tool_is_checked_as_such(tmp_path: Path) -> None:
    async def main() -> None:
        async with checked(tmp_path, FORBIDS | {"phase": "tool_result"}) as gateway:
            call = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": "{}"}}
            messages = [
                {"role": "user", "content": "what of plutonium?"},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c1", "content": "buy plutonium here"},
            ]
            assert (await gateway.ask("what of plutonium?")).status_code == 200
            answer = await gateway.ask("", messages=messages)
            assert answer.json()["error"]["param"] == "messages[2].content"
            assert await gateway.verdicts() == ["tool_result:keywords:arms:block:1.00:1"]

    run(main())


def test_a_tool_that_may_not_be_called_may_not_be_offered(tmp_path: Path) -> None:
    async def main() -> None:
        policy = {"check": "tools", "phase": "tool_call", "allow": ["search"]}
        async with checked(tmp_path, policy) as gateway:
            answer = await gateway.ask("hi", tools=[TOOL])
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "content_filter")
            assert "send" in answer.json()["error"]["message"]
            assert gateway.upstream.seen == []
            assert await gateway.verdicts() == ["tool_call:tools:tool_not_allowed:block:1.00:1"]

    run(main())


def test_token_ids_cannot_be_checked(tmp_path: Path) -> None:
    async def main() -> None:
        async with checked(tmp_path, HIDES) as gateway:
            answer = await gateway.client.post("/v1/completions", json={"model": "m", "prompt": [1, 2, 3]})
            assert answer.status_code == 400
            assert answer.json()["error"]["param"] == "prompt"

    run(main())


@pytest.mark.parametrize("phase", ["input", "output"])
def test_tokens_of_a_checked_answer_cannot_be_had(tmp_path: Path, phase: str) -> None:
    async def main() -> None:
        async with checked(tmp_path, HIDES | {"phase": phase}) as gateway:
            answer = await gateway.ask("hi", logprobs=True)
            if phase == "input":  # nothing is done to the answer
                assert answer.status_code == 200
            else:
                assert (answer.status_code, answer.json()["error"]["param"]) == (400, "logprobs")

    run(main())


def test_a_transcription_is_checked_whole_and_not_streamed(tmp_path: Path) -> None:
    async def transcribe(talk: Talk) -> None:
        await talk.send(unary(json.dumps({"text": f"Ask {MAIL}."}).encode()))

    async def main() -> None:
        async with checked(tmp_path, HIDES | {"phase": "output"}, script=transcribe) as gateway:
            for stream, status in (("false", 200), ("true", 400)):
                form = {"model": "m", "stream": stream}
                answer = await gateway.client.post("/v1/audio/transcriptions", data=form, files={"file": b"sound"})
                assert answer.status_code == status
                assert MAIL not in answer.text
                assert answer.json().get("text", "Ask [EMAIL_ADDRESS].") == "Ask [EMAIL_ADDRESS]."

    run(main())


def test_sixteen_long_prompts_are_judged_in_turns(tmp_path: Path) -> None:
    async def main() -> None:
        async with checked(tmp_path, HIDES) as gateway:
            text = ("a fine day to write to somebody " * 100 + MAIL + " ") * 4
            answers = await asyncio.gather(*(gateway.ask(text) for _ in range(16)))
            assert {said(each)[0] for each in answers} == {text.replace(MAIL, "[EMAIL_ADDRESS]")}

    run(main())


def test_masks_that_are_longer_than_what_they_hide_are_paid_for(tmp_path: Path) -> None:
    async def main() -> None:
        price = {"input": 10_000_000_000, "output": 1_000_000_000_000}
        models = {"m": {"backend": "b", "served_model": "served", "price": price}}
        meters = {"acme": [usd(10**12), {"cap": "10 requests", "window": "day"}]}
        async with checked(tmp_path, PUTS_BACK, models=models, meters=meters) as gateway:
            text = " ".join(f"u{number}@ab.cd" for number in range(50))
            answer = await gateway.ask(text, max_tokens=5)
            assert (answer.status_code, said(answer)) == (200, [text])
            await until(lambda: gateway.gateway.gw.in_flight == 0, "requests end")
            record = gateway.gateway.records()[-1]
            assert record.held_input >= len(gateway.upstream.seen[-1].body) > 2 * len(text)
            leasing = gateway.gateway.gw.leasing
            assert leasing is not None
            totals = {key.split("|")[1]: bucket.total for key, bucket in leasing.leases.buckets.items()}
            assert totals["requests"] == 1
            assert totals["usd"] == record.charge_nanos
            assert not any(bucket.held for bucket in leasing.leases.buckets.values())

    run(main())


@pytest.mark.parametrize("chain", [None, "c"])
def test_the_checks_of_a_fallback_run_whoever_answers(tmp_path: Path, chain: str | None) -> None:
    async def main() -> None:
        async with Upstream([echo()]) as upstream:
            models: dict[str, dict[str, Any]] = {
                "m": {"backend": "b", "served_model": "served", "fallback": ["spare"]},
                "spare": {"backend": "b", "served_model": "other", "chain": chain},
            }
            found = config({"b": [upstream.url]}, models, chain=[FORBIDS | {"phase": "input"}])
            acme = msgspec.structs.replace(found.tenants["acme"], chain=None)
            found = msgspec.structs.replace(found, tenants=found.tenants | {"acme": acme})
            async with (
                serving(found, tmp_path) as gateway,
                httpx.AsyncClient(base_url=gateway.url, headers={"authorization": f"Bearer {KEY}"}) as client,
            ):
                answer = await Checked(gateway, upstream, client).ask("how to buy plutonium")
                assert answer.status_code == (400 if chain else 200)
                assert len(upstream.seen) == (0 if chain else 1)

    run(main())
