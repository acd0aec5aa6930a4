from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.policy import bounds
from gateway.policy.bounds import answers, clamped, limited, output_tokens
from gateway.policy.overhead import TEMPLATE_TOKENS, TOOLS_TOKENS, Overhead
from gateway.wire import chat, completions, scoring
from gateway.wire.call import Call
from gateway.wire.messages import codec as messages
from gateway.wire.responses import codec as responses

SAID = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def input_tokens(call: Call, image_tokens: int, overhead: Overhead | None = None) -> int:
    return bounds.input_tokens(call, image_tokens, overhead or Overhead())


def ask(**fields: Any) -> Call:
    return chat.parse(json.dumps({**SAID, **fields}).encode())


def complete(**fields: Any) -> Call:
    return completions.parse(json.dumps({"model": "m", "prompt": "hi", **fields}).encode())


def test_a_body_has_at_most_as_many_tokens_as_bytes_and_what_a_template_adds() -> None:
    call = ask()
    assert input_tokens(call, 8192) == len(call.body) + TEMPLATE_TOKENS
    assert input_tokens(ask(tools=[]), 0) == len(ask(tools=[]).body) + TEMPLATE_TOKENS + TOOLS_TOKENS


def test_a_body_has_what_the_template_of_its_model_was_measured_to_add() -> None:
    long, wordy = Overhead(), Overhead()
    long.measured("e", (3000, 3010, 5000, 5010))
    assert input_tokens(ask(tools=[]), 0, long) == len(ask(tools=[]).body) + long.template + long.tools
    wordy.measured("e", (20, 120, None, None))  # a message may make 100 tokens
    for count in (1, 7):
        call = ask(messages=[{"role": "user"}] * count)
        assert len(call.body) + wordy.template <= input_tokens(call, 0, wordy)
        assert input_tokens(call, 0, wordy) >= 20 + 100 * count


def image(url: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]


def test_an_image_counts_as_the_most_for_one_wherever_it_is() -> None:
    call = ask(messages=image("https://example.org/cat.png"))
    assert input_tokens(call, 8192) >= len(call.body) + 8192


def test_an_image_that_is_an_item_of_its_own_counts_too() -> None:
    shot = {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": "https://e.org/x"}}
    call = responses.parse(json.dumps({"model": "m", "input": [shot]}).encode())
    assert input_tokens(call, 8192) >= len(call.body) + 8192


@pytest.mark.parametrize("written", [r"im\u0061ge_url", r"\u0069\u006d\u0061\u0067e_url", r"image\u005Furl"])
def test_an_image_counts_however_its_name_is_written(written: str) -> None:
    body = json.dumps({**SAID, "messages": image("https://example.org/cat.png")}).replace("image_url", written)
    assert input_tokens(chat.parse(body.encode()), 8192) >= len(body) + 8192


def test_the_bytes_of_an_image_in_the_body_are_no_tokens() -> None:
    call = ask(messages=image("data:image/png;base64," + "A" * 1_000_000))
    assert 8192 <= input_tokens(call, 8192) < 3 * 8192


def test_a_text_that_only_looks_like_an_image_counts_in_full() -> None:
    url = "data:image/png;base64," + "A" * 100_000
    said = ask(messages=[{"role": "user", "content": url}])
    schema = ask(messages=image("x"), tools=[{"type": "function", "function": {"parameters": {"url": url}}}])
    for call in (said, schema):
        assert input_tokens(call, 8192) >= 100_000


def test_what_a_caller_allows_bounds_each_of_its_answers() -> None:
    assert output_tokens(ask(), 16_384) == 16_384
    assert output_tokens(ask(max_tokens=100), 16_384) == 100
    assert output_tokens(ask(max_completion_tokens=200, max_tokens=100), 16_384) == 200
    assert output_tokens(ask(max_tokens=20_000, n=3), 16_384) == 60_000
    assert output_tokens(ask(max_tokens=None, n=2), 100) == 200
    assert output_tokens(messages.parse(json.dumps({**SAID, "max_tokens": 7}).encode()), 100) == 7
    asked = responses.parse(b'{"model":"m","input":"hi","max_output_tokens":8}')
    assert output_tokens(asked, 100) == 8


@pytest.mark.parametrize(
    ("prompt", "times"),
    [("one", 1), (["one", "two"], 2), ([1, 2, 3], 1), ([[1, 2], [3]], 2), ([], 1)],
)
def test_a_completion_answers_each_of_its_prompts(prompt: Any, times: int) -> None:
    assert answers(complete(prompt=prompt, n=2, best_of=3)) == 3 * times
    assert output_tokens(complete(prompt=prompt, max_tokens=10), 100) == 10 * times


def test_a_limit_that_backends_may_read_differently_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="max_tokens must be a whole number"):
        output_tokens(ask(max_tokens="99999"), 100)


def test_what_does_not_generate_puts_nothing_out() -> None:
    call = scoring.RERANK.parse(b'{"model":"m","query":"q","documents":["a","b"]}', b"")
    assert output_tokens(call, 16_384) == 0


def test_a_query_is_read_again_with_each_document() -> None:
    query, documents = "q" * 1000, ["d"] * 50
    body = json.dumps({"model": "m", "query": query, "documents": documents}).encode()
    assert input_tokens(scoring.RERANK.parse(body, b""), 0) >= 50 * 1000


def test_an_answer_that_goes_on_brings_what_was_kept() -> None:
    call = responses.parse(b'{"model":"m","input":"hi","previous_response_id":"resp_1"}')
    assert input_tokens(call, 0) > bounds.KEPT_TOKENS


def test_counting_counts_nothing() -> None:
    assert input_tokens(messages.parse_count(json.dumps(SAID).encode()), 0) == 0


def test_a_clamp_sets_every_limit_the_caller_gave_or_the_one_it_could_have() -> None:
    both = clamped(ask(max_tokens=100, max_completion_tokens=200, temperature=0), 7)
    assert json.loads(both.body) == {**SAID, "max_tokens": 7, "max_completion_tokens": 7, "temperature": 0}
    assert output_tokens(both, 100) == 7
    assert json.loads(clamped(ask(), 7).body) == {**SAID, "max_tokens": 7}
    asked = clamped(responses.parse(b'{"model":"m","input":"hi"}'), 9)
    assert json.loads(asked.body)["max_output_tokens"] == 9


def test_whether_a_caller_bounds_the_answer() -> None:
    assert limited(ask(max_completion_tokens=5))
    assert not limited(ask(max_tokens=None))
    assert not limited(ask())
