"""Chains of checks in words, for `lockgate check`. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gateway.config import snapshot_chains
from gateway.config.model import V2, AnyModel, Config, Onnx

if TYPE_CHECKING:
    from guardrails.chain import Chain, Link
    from guardrails.verdict import Phase

_MOST_NAMED = 6


def chains(config: Config) -> Iterator[tuple[str, str]]:
    """(chain, line) for each line of each chain; the name only on its first."""
    for name, entries in config.chains.items():
        first = name
        for line in _lines(config, name, snapshot_chains.made(name, entries)):
            yield first, line
            first = ""


def held(chain: Chain, phase: Phase) -> str:
    """What checks of a phase hold back, and how long."""
    from guardrails.check import Sight
    from guardrails.segments import LEAST, MOST

    sight = chain.sight(phase)
    names = ", ".join(dict.fromkeys(link.check.name for link in chain.of(phase) if _holds(link, sight)))
    match sight:
        case Sight.WHOLE:
            return f"everything, until the whole text is judged ({names})"
        case Sight.SEGMENT:
            return f"a sentence of {LEAST} to {MOST} characters, until it is judged ({names})"
        case Sight.PATTERN:
            return f"what may become a match, while it may ({names})"
        case _:
            return "nothing"


def _holds(link: Link, sight: object) -> bool:
    return link.holds and link.check.sight is sight


def _lines(config: Config, name: str, chain: Chain) -> Iterator[str]:
    from guardrails.verdict import Phase

    yield _used_by(config, name)
    for link in chain.links:
        yield _link(link)
    if chain.tools is not None:
        yield "tools, at every call: block what is not allowed"
    if chain.watched_tools is not None:
        yield "tools, at every call: block what is not allowed, only observed"
    if any(_is_classic(config, model) for model in config.models.values()):
        yield "of models under /v2: texts (BYTES) are checked whole; numbers are not read"
    for phase in Phase:
        if chain.of(phase):
            yield f"holds back on {phase}: {held(chain, phase)}"


def _is_classic(config: Config, model: AnyModel) -> bool:
    return isinstance(model, Onnx) or isinstance(config.backends.get(model.backend), V2)


def _link(link: Link) -> str:
    from guardrails.check import Sight

    phases = ", ".join(phase for phase in type(next(iter(link.phases))) if phase in link.phases)
    said = f"{link.check.name} on {phases}: {link.action}"
    if not link.enforced:
        said += ", only observed"
    if link.check.sight is not Sight.PATTERN or link.deadline_ms is not None:
        within = f" within {link.deadline_ms} ms" if link.deadline_ms is not None else ""
        said += f"; {link.on_failure} where it cannot judge{within}"
    return said


def _used_by(config: Config, name: str) -> str:
    tenants = [tenant for tenant, each in config.tenants.items() if each.chain == name]
    keys = [
        f"{tenant}/{key}"
        for tenant, each in config.tenants.items()
        for key, its in each.keys.items()
        if its.chain == name
    ]
    models = [alias for alias, model in config.models.items() if model.chain == name]
    said = [_named(noun, names) for noun, names in (("tenant", tenants), ("key", keys), ("model", models)) if names]
    return f"for {'; '.join(said)}" if said else "for nobody"


def _named(noun: str, names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(names[:_MOST_NAMED])}{more}"
