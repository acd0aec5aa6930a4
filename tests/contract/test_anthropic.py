"""Anthropic's official client: through the gateway it gets what the server itself answers, and where the server does
not speak the format, what one that does would have answered.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import anthropic
import pytest

from gateway.clock import within
from tests.contract import kinds
from tests.contract.anthropic_cases import CASES, TURNS, WEATHER, client, create, fields, run, stream
from tests.contract.results import differences
from tests.contract.translating import translated, translating
from tests.contract.upstreams import Servers
from tests.support import gateway as in_process
from tests.support import running
from tests.support.upstream import FRAMES, STREAM_HEAD, Script, Upstream, chunk, hangs, says, says_and_closes, unary

SPEAKING = ("llama_cpp", "vllm")


def disagreements(direct: Any, through: Any) -> list[str]:
    """Where two results differ though they should not. Meant: a failure of the server is a 502, 503 or 504, and a
    refusal has Anthropic's shape where the server's own had not.
    """
    if isinstance(direct, dict) and "raised" in direct and isinstance(through, dict) and "raised" in through:
        if direct["status"] >= 500:
            return [] if through["status"] in (502, 503, 504) else [f"{direct['status']} came as {through['status']}"]
        if direct["body"].get("type") != "error":
            said = {"type": "error", "error": {"message": direct["body"]["error"]["message"]}}
            told = {"type": through["body"]["type"], "error": {"message": through["body"]["error"]["message"]}}
            return differences(direct | {"body": said}, through | {"body": told})
    return differences(direct, through)


@pytest.mark.parametrize(("kind", "case"), [kinds.of(kind, case) for kind in SPEAKING for case in CASES])
def test_an_answer_through_the_gateway_is_the_servers_own(servers: Servers, kind: str, case: str) -> None:
    kinds.require(kind)
    pair = servers.pair(kind)
    assert disagreements(run(case, pair.direct, bearer=True), run(case, pair.through)) == []


TRANSLATED = [name for name in CASES if not name.startswith("refused") and name != "message_image"]
"""What vLLM with its tiny model answers at all: refusals are worded differently for each format, and it is blind."""


@pytest.mark.parametrize(("kind", "case"), [kinds.of("vllm", case) for case in TRANSLATED])
def test_what_is_translated_for_vllm_is_what_it_answers_itself(
    servers: Servers, tmp_path: Path, kind: str, case: str
) -> None:
    kinds.require(kind)
    direct = servers.pair(kind).direct
    through = translated(direct, partial(run, case), tmp_path)
    assert disagreements(run(case, direct, bearer=True), through) == []


# -- the scripted server, which speaks chat completions only


def test_a_translated_stream_is_the_whole_answer(servers: Servers) -> None:
    through = servers.pair("fake").through
    with client(through) as asking:
        whole = create(asking, "m", messages=TURNS, max_tokens=64)
        streamed = stream(asking, "m", messages=TURNS, max_tokens=64)
    assert whole["content"] == [{"type": "text", "text": TURNS[-1]["content"][0]["text"]}]
    assert streamed["message"] == whole
    assert streamed["kinds"] == [
        *("message_start", "content_block_start", "content_block_delta", "content_block_stop"),
        *("message_delta", "message_stop"),
    ]


def test_every_message_has_the_requests_id_where_the_package_looks_for_it(servers: Servers) -> None:
    with client(servers.pair("fake").through) as asking:
        ask: Any = asking.messages.create
        messages = [ask(**fields("m")) for _ in range(2)]
        with asking.messages.stream(**fields("m")) as events:
            ids = {events.request_id, *(message._request_id for message in messages)}
    assert len(ids) == 3
    assert all(each.startswith("req_") for each in ids)


def test_a_translated_tool_call_has_its_parsed_input(servers: Servers) -> None:
    with client(servers.pair("fake").through) as asking:
        whole = create(asking, "m", tools=[WEATHER], tool_choice={"type": "any"}, max_tokens=64)
        streamed = stream(asking, "m", tools=[WEATHER], tool_choice={"type": "any"}, max_tokens=64)
    (block,) = whole["content"]
    assert (block["type"], block["name"], block["input"]) == ("tool_use", "weather", {"city": "Oslo"})
    assert whole["stop_reason"] == "tool_use"
    assert streamed["message"] == whole


@pytest.mark.parametrize("case", ["message_tool_result", "message_image", "message_stream_async"])
def test_results_images_and_streams_get_an_answer(servers: Servers, case: str) -> None:
    assert run(case, servers.pair("fake").through)["content"][0]["text"]


def test_a_translated_count_is_the_usage_of_the_same_message(servers: Servers) -> None:
    through = servers.pair("fake").through
    with client(through) as asking:
        counted = asking.messages.count_tokens(model="m", messages=TURNS).input_tokens  # type: ignore[arg-type]
        assert counted == create(asking, "m", messages=TURNS)["input"] > 0


# -- what the package makes of errors


async def raised(state_dir: Path, scripts: list[Script], **fields: Any) -> Any:
    """The error of one request through a gateway to a scripted endpoint that speaks chat completions only."""
    async with Upstream(scripts) as upstream, translating(upstream.url, None, state_dir) as gateway:
        key = fields.pop("key", in_process.KEY)
        options: dict[str, Any] = {"base_url": gateway.url, "api_key": key, "max_retries": 0}
        request = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}], **fields}
        async with anthropic.AsyncAnthropic(**options) as asking:
            try:
                ask: Any = asking.messages.create
                events = await ask(**request)
                return [event async for event in events]
            except anthropic.APIError as error:
                return error


DOCUMENT = [{"role": "user", "content": [{"type": "document", "source": {"type": "text", "data": "x"}}]}]


@pytest.mark.parametrize(
    ("script", "fields", "kind", "type_", "code"),
    [
        (says(unary()), {"key": "no"}, anthropic.AuthenticationError, "authentication_error", "invalid_api_key"),
        (says(unary()), {"model": "x"}, anthropic.NotFoundError, "not_found_error", "model_not_found"),
        (says(unary()), {"messages": DOCUMENT}, anthropic.BadRequestError, "invalid_request_error", "invalid_request"),
        (
            says(unary(b'{"error":{"message":"too hot"}}', "400 Bad Request")),
            {},
            anthropic.BadRequestError,
            "invalid_request_error",
            "upstream_rejected",
        ),
        (
            says(unary(b"{}", "429 Too Many Requests")),
            {},
            anthropic.ServiceUnavailableError,
            "overloaded_error",
            "upstream_busy",
        ),
        (says(unary(b"{}", "500 Oops")), {}, anthropic.InternalServerError, "api_error", "upstream_failed"),
        (
            says_and_closes(STREAM_HEAD + chunk(FRAMES[1])),
            {"stream": True},
            anthropic.APIStatusError,
            "api_error",
            "stream_broken",
        ),
    ],
)
def test_errors_are_raised_as_the_package_names_them(
    tmp_path: Path, script: Script, fields: dict[str, Any], kind: type[anthropic.APIError], type_: str, code: str
) -> None:
    error = running.run(raised(tmp_path, [script], **fields))
    assert isinstance(error, kind)
    assert isinstance(error, anthropic.APIStatusError)
    assert (error.type, error.error_code) == (type_, code)
    assert (error.request_id or "").startswith("req_")


def test_leaving_a_stream_cancels_the_backend(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream([hangs(STREAM_HEAD + chunk(FRAMES[1]))]) as upstream,
            translating(upstream.url, None, tmp_path) as gateway,
            anthropic.AsyncAnthropic(base_url=gateway.url, api_key=in_process.KEY, max_retries=0) as asking,
        ):
            messages: Any = [{"role": "user", "content": "hi"}]
            async with asking.messages.stream(model="m", max_tokens=5, messages=messages) as events:
                async for text in events.text_stream:
                    assert text == "hel"
                    break
            await within(upstream.aborted.wait(), 60)
            await running.until(lambda: gateway.gw.in_flight == 0, "the request ends")
            assert [row.outcome for row in gateway.records()] == ["cancelled"]

    running.run(main())
