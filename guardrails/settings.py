"""A chain from what an admin wrote: a list of entries, each a check with its phases, action and settings.

    - {check: pii, phase: [input, output], action: mask_reversible, entities: [EMAIL_ADDRESS, CREDIT_CARD]}
    - {check: injection, phase: input, action: block, threshold: 0.9, deadline_ms: 200, on_failure: fail_closed}

What cannot be meant is a `ChainError` that begins with its place; the first carries those of the other entries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, Final, TypeVar

from guardrails.chain import Chain, ChainError, Link, OnFailure, chain
from guardrails.check import Asking, Check
from guardrails.checks.tools import ToolPolicy
from guardrails.registry import CHECKS, Kind, Option, Registered
from guardrails.verdict import Action, Phase

ENFORCE: Final = "enforce"
OBSERVE: Final = "observe"
_OF_A_LINK: Final = ("check", "phase", "action", "mode", "on_failure", "deadline_ms")

_Word = TypeVar("_Word", bound=StrEnum)


def chain_of(name: str, entries: Sequence[Mapping[str, object]]) -> Chain:
    """The chain. Raises `ChainError`."""
    links: list[Link] = []
    tools: dict[bool, ToolPolicy] = {}
    wrong: list[ChainError] = []
    for number, entry in enumerate(entries):
        try:
            links += _part(f"chains.{name}[{number}]", number, entry, tools)
        except ChainError as error:
            wrong.append(error)
    if wrong:
        wrong[0].others = tuple(wrong[1:])
        raise wrong[0]
    return chain(name, links, tools.get(True), tools.get(False))


def _part(place: str, number: int, entry: Mapping[str, object], tools: dict[bool, ToolPolicy]) -> list[Link]:
    """The links that an entry stands for. A list of tools is none: it goes into `tools`, by whether it is enforced."""
    check = _word(place, entry, "check", tuple(CHECKS))
    if check is None:
        raise ChainError(f"{place}: names no check; one of {', '.join(CHECKS)}")
    place = f"{place} ({check})"
    registered = CHECKS[check]
    _known(place, entry, (*_OF_A_LINK, *registered.options))
    made = _made(place, entry, registered)
    if isinstance(made, ToolPolicy):
        _policy(place, entry, made, tools)
        return []
    checks = made if isinstance(made, tuple) else (made,)
    return _links(place, number, entry, registered, checks)


def _links(
    place: str, number: int, entry: Mapping[str, object], registered: Registered, checks: tuple[Check, ...]
) -> list[Link]:
    action = _enum(place, entry, "action", Action)
    if action is None:
        raise ChainError(f"{place}: has no action; one of {', '.join(Action)}")
    deadline = entry.get("deadline_ms")
    asking = [check for check in checks if isinstance(check, Asking)]
    if deadline is not None and not asking:
        raise ChainError(f"{place}: deadline_ms: nobody is asked, so nothing can be late; leave it out")
    if deadline is not None and (not isinstance(deadline, int) or isinstance(deadline, bool)):
        raise ChainError(f"{place}: deadline_ms: {Kind.COUNT} is wanted")
    phases = _phases(place, entry)
    unfit = sorted(phases - set(registered.phases))
    if unfit:
        raise ChainError(f"{place}: phase: {unfit[0]} holds none of what this judges; {', '.join(registered.phases)}")
    enforced = _enforced(place, entry)
    on_failure = _enum(place, entry, "on_failure", OnFailure) or OnFailure.CLOSED
    return [
        Link(check, phases, action, enforced, on_failure, deadline if check in asking else None, number)
        for check in checks
    ]


def _policy(place: str, entry: Mapping[str, object], made: ToolPolicy, tools: dict[bool, ToolPolicy]) -> None:
    if _phases(place, entry) != {Phase.TOOL_CALL}:
        raise ChainError(f"{place}: phase: tools are judged when they are called: tool_call")
    unfit = [key for key in ("on_failure", "deadline_ms") if key in entry]
    if unfit or entry.get("action", Action.BLOCK) != Action.BLOCK:
        raise ChainError(f"{place}: {(unfit or ['action'])[0]}: a call is allowed or refused, and nothing else")
    enforced = _enforced(place, entry)
    if enforced in tools:
        raise ChainError(f"{place}: a second list of tools; which of the two holds nobody could say")
    tools[enforced] = made


def _enforced(place: str, entry: Mapping[str, object]) -> bool:
    return _word(place, entry, "mode", (ENFORCE, OBSERVE)) != OBSERVE


def _made(place: str, entry: Mapping[str, object], registered: Registered) -> Any:
    arguments = {}
    for key, option in registered.options.items():
        if key in entry:
            arguments[option.argument] = _value(f"{place}: {key}", option, entry[key])
        elif option.required:
            raise ChainError(f"{place}: {key} is missing; {option.kind}")
    try:
        return registered.make(**arguments)
    except ValueError as error:
        raise ChainError(f"{place}: {error}") from error


def _value(place: str, option: Option, value: object) -> object:
    kind = option.kind
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        Kind.SHARE: is_number,
        Kind.COUNT: is_number and isinstance(value, int),
        Kind.WORD: isinstance(value, str),
        Kind.BEYOND: isinstance(value, str),
        Kind.WORDS: isinstance(value, list | tuple) and all(isinstance(each, str) for each in value),
        Kind.RECOGNISERS: isinstance(value, Mapping),
        Kind.PATTERNS: isinstance(value, Mapping) and all(isinstance(each, str) for each in value.values()),
        Kind.SCHEMA: isinstance(value, Mapping),
        Kind.SCHEMAS: isinstance(value, Mapping) and all(isinstance(each, Mapping) for each in value.values()),
    }
    if not fits[kind]:
        raise ChainError(f"{place}: {kind} is wanted")
    return value


def _phases(place: str, entry: Mapping[str, object]) -> frozenset[Phase]:
    written = entry.get("phase", ())
    names = [written] if isinstance(written, str) else written
    if not isinstance(names, list | tuple) or not names:
        raise ChainError(f"{place}: has no phase; one or more of {', '.join(Phase)}")
    return frozenset(Phase(_one_of(f"{place}: phase", each, tuple(Phase))) for each in names)


def _enum(place: str, entry: Mapping[str, object], key: str, words: type[_Word]) -> _Word | None:
    found = _word(place, entry, key, tuple(words))
    return None if found is None else words(found)


def _word(place: str, entry: Mapping[str, object], key: str, words: Sequence[str]) -> str | None:
    return _one_of(f"{place}: {key}", entry[key], words) if key in entry else None


def _one_of(place: str, value: object, words: Sequence[str]) -> str:
    if isinstance(value, str) and value in words:
        return value
    raise ChainError(f"{place}: {value!r} is none of {', '.join(words)}{_nearest(value, words)}")


def _known(place: str, entry: Mapping[str, object], keys: Sequence[str]) -> None:
    for key in entry:
        if key not in keys:
            raise ChainError(f"{place}: {key}: unknown here; known are {', '.join(keys)}{_nearest(key, keys)}")


def _nearest(value: object, words: Sequence[str]) -> str:
    near = get_close_matches(str(value), words, 1)
    return f"; do you mean {near[0]}?" if near else ""
