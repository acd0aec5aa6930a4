"""What the fake server is told to do: a list of rules, the first that fits a request decides.

```yaml
answer: "{last}"                 # without a rule: echo; {words} is the number of words of the last user message
rules:
  - {match: "weather", tool_calls: [{name: get_weather, arguments: {city: Paris}}]}
  - {match: "long", tokens: 200, token_delay_ms: 20}
  - {match: "any length", tokens: [1, 400], tokens_per_s: 200, tokens_per_frame: 4}
  - {match: "absurd", usage: {completion_tokens: 1000000000}}
  - {match: "fail once", times: 1, status: 503, headers: {retry-after: "1"}}
  - {match: "break", answer: "one two three", cut_after_frames: 2}
```
"""

from __future__ import annotations

import math
import re
from random import Random
from typing import Any, Literal

import msgspec
import yaml

from gateway.errors import ConfigError


class ScriptedCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool call to answer with; `arguments` is an object, or a string that is sent as it is (even if not JSON)."""

    name: str
    arguments: dict[str, Any] | str = {}


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule: first which requests, then what is answered, then what goes wrong or takes time."""

    match: str = ""  # a regular expression, searched in the last user message, the prompt or the input
    model: str | None = None
    endpoint: Literal["chat", "completions", "embeddings"] | None = None
    times: int | None = None  # fits so often, then never again

    answer: str | None = None
    # the answer is repeated or cut to so many tokens; two numbers: by chance from the first to the second
    tokens: int | tuple[int, int] | None = None
    reasoning: str = ""
    tool_calls: list[ScriptedCall] = []
    logprobs: list[float] = []  # of the answer's tokens; the last one goes on
    finish_reason: str | None = None
    # False: the answer says nothing about usage; an object: these numbers stand in every usage, true or not
    usage: bool | dict[str, int] = True

    delay_ms: float = 0.0  # before the first byte
    token_delay_ms: float | None = None  # before each token of a stream; None: the script's
    tokens_per_s: float | None = (
        None  # how fast tokens are produced, by the clock; also where the answer is not streamed
    )
    tokens_per_frame: int = 1  # so many tokens of an answer's text share a frame, as with speculative decoding
    status: int = 200  # anything else is answered with an error body
    message: str = "the script says so"
    headers: dict[str, str] = {}
    drop: bool = False  # close the connection before any answer
    hang: bool = False  # never answer
    cut_after_frames: int | None = None  # stream: close after so many frames; whole answers: after half of the body
    raw: str | None = None  # send these bytes (latin-1) as the body with status 200, whatever was asked


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What happens without a rule, and the rules."""

    answer: str = "{last}"
    delay_ms: float = 0.0
    token_delay_ms: float = 0.0
    template_tokens: int = 0  # of a chat template: so many more stand before each chat
    seed: int = 0  # of all that happens by chance
    rules: list[Rule] = []


def parse(text: str | bytes) -> Script:
    """A script from YAML or JSON; raises ConfigError that names what is wrong."""
    try:
        script = msgspec.convert(yaml.safe_load(text) or {}, Script)
        for rule in script.rules:
            re.compile(rule.match)
            _check(rule)
    except yaml.YAMLError as exc:
        raise ConfigError(f"the script is not YAML: {exc}") from None
    except msgspec.ValidationError as exc:
        raise ConfigError(f"the script cannot be used: {exc}") from None
    except re.error as exc:
        raise ConfigError(f"the script cannot be used: `match` is not a regular expression: {exc}") from None
    return script


def _check(rule: Rule) -> None:
    least, most = rule.tokens if isinstance(rule.tokens, tuple) else (0, 0)
    if not 0 <= least <= most:
        raise ConfigError("the script cannot be used: `tokens` needs two numbers from low to high, such as [1, 400]")
    if rule.tokens_per_s is not None and not 0 < rule.tokens_per_s < math.inf:
        raise ConfigError("the script cannot be used: `tokens_per_s` must be above 0; leave it out for no pace")
    if rule.tokens_per_frame < 1:
        raise ConfigError("the script cannot be used: `tokens_per_frame` must be at least 1")


class Director:
    """Holds the script in force, how often each of its rules has fitted, and its chance."""

    def __init__(self, script: Script) -> None:
        self.replace(script)

    def replace(self, script: Script) -> None:
        """Puts `script` in force; counts of `times` begin anew."""
        self.script = script
        self._patterns = [re.compile(rule.match, re.DOTALL) for rule in script.rules]
        self._fitted = [0] * len(script.rules)
        self._random = Random(script.seed)

    def rule_for(self, endpoint: str, model: str, last: str) -> Rule:
        """The first rule that fits, with the script's own answer and delays filled in and its chance drawn."""
        script = self.script
        for index, rule in enumerate(script.rules):
            if rule.endpoint not in (None, endpoint) or rule.model not in (None, model):
                continue
            if rule.times is not None and self._fitted[index] >= rule.times:
                continue
            if self._patterns[index].search(last) is None:
                continue
            self._fitted[index] += 1
            return msgspec.structs.replace(
                rule,
                answer=script.answer if rule.answer is None else rule.answer,
                tokens=self._random.randint(*rule.tokens) if isinstance(rule.tokens, tuple) else rule.tokens,
                delay_ms=rule.delay_ms or script.delay_ms,
                token_delay_ms=script.token_delay_ms if rule.token_delay_ms is None else rule.token_delay_ms,
            )
        return Rule(answer=script.answer, delay_ms=script.delay_ms, token_delay_ms=script.token_delay_ms)
