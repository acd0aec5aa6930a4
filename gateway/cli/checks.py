"""`lockgate checks`: what guardrails there are, and what a chain of them makes of texts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from gateway.cli import admin_options, checks_places
from gateway.cli.checks_eval import eval_
from gateway.cli.checks_places import Here
from gateway.cli.meters_table import aligned

if TYPE_CHECKING:
    from guardrails.chain import Chain
    from guardrails.registry import Registered
    from guardrails.screen import Screen
    from guardrails.verdict import Failure, Ruling, Verdict

_SIZES = (1, 4, 2, 7, 3)
"""How long the pieces of a stream are, in turn: about a token."""

_WARMED = 10_000


@click.group(cls=admin_options.Group, short_help="List the guardrails, try a chain of them, and measure one.")
def checks() -> None:
    """List the guardrails, try a chain of them, and measure one on texts of which it is known what is in them.

    \b
      lockgate checks try --stream 'Write to joe@example.org, please.'
    """


@checks.command(name="list", short_help="List every check: what it finds, and its settings.")
@admin_options.output
def list_(form: str) -> None:
    """Lists every check that a chain can have, with what it finds and the settings it takes besides `phase`, `action`,
    `mode`, `on_failure` and, where it asks somebody, `deadline_ms`."""
    from guardrails.registry import CHECKS

    for name, check in CHECKS.items():
        if form == "json":
            settings = {key: str(option.kind) for key, option in check.options.items()}
            said = {"check": name, "finds": check.finds, "phases": [*check.phases], "asks": check.asks}
            by = {who: list(what) for who, what in check.found_by().items()}
            click.echo(json.dumps(said | {"settings": settings} | ({"found_by": by} if by else {})))
        else:
            click.echo("\n".join(_described(name, check)))


def _described(name: str, check: Registered) -> Iterator[str]:
    from guardrails.verdict import Phase

    yield f"{name}: {check.finds}"
    if len(check.phases) < len(Phase):
        yield f"  only for phase {', '.join(check.phases)}"
    if check.asks:
        yield "  asks somebody, and so may have a deadline_ms"
    for key, option in check.options.items():
        yield f"  {key:<18} {option.kind}{', required' if option.required else ''}"
    for who, what in check.found_by().items():
        yield f"  found by {who}: {', '.join(what)}"


@checks.command(name="try", short_help="Show what a chain makes of a text.")
@click.argument("text", metavar="TEXT|FILE")
@checks_places.options
@click.option("--stream", is_flag=True, help="The text comes in pieces of a few characters, as models send it.")
@click.option("--json", "as_json", is_flag=True, help="One line: what is delivered, the verdict, and what was found.")
def try_(text: str, chain: str, phase: str, directory: Path | None, stream: bool, as_json: bool) -> None:
    """Shows what a chain makes of TEXT, of a FILE, or of standard input (`-`): what was found and where, how long it
    took, and, last, the text as it would be delivered.

    Classifiers judge here, as in the gateway. Webhooks and models are not asked: their checks fail, and what follows
    is what the chain says of failures. Masks that can be undone have other placeholders in the gateway.
    """
    given, source = checks_places.text_of(text)
    made = checks_places.chain_of(chain, directory)
    here = Here()
    _tried(made, phase, given[:_WARMED], stream, here)  # what is made on first use is no part of what a text takes
    here.taken_ns.clear()
    found = _tried(made, phase, given, stream, here)
    if as_json:
        click.echo(json.dumps(found.as_json()))
        return
    pieces = f"in {found.pieces} pieces" if stream else "in one piece"
    click.echo(f"Chain {chain}, phase {phase}: {len(given)} characters of {source}, {pieces}\n")
    for line in _told(found):
        click.echo(line)
    click.echo(f"\nDelivered:\n{found.delivered}".encode("utf-8", "replace"))


checks.add_command(eval_)


class Tried(NamedTuple):
    """What became of a text."""

    chain: Chain
    phase: str
    delivered: str
    pieces: int
    verdicts: tuple[Verdict, ...]
    """One; of the arguments of a call, one for each text in them."""
    here: Here
    taken_ns: int
    """CPU, without what classifiers took."""

    @property
    def verdict(self) -> str:
        """The strictest action that was enforced."""
        from guardrails.verdict import Action

        return max((verdict.action for verdict in self.verdicts), key=list(Action).index, default=Action.ALLOW)

    @property
    def rulings(self) -> list[Ruling]:
        return [ruling for verdict in self.verdicts for ruling in verdict.rulings]

    @property
    def failures(self) -> list[Failure]:
        return [failure for verdict in self.verdicts for failure in verdict.failures]

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "delivered": self.delivered,
            "verdict": self.verdict,
            "findings": [
                {
                    **{name: getattr(each.finding, name) for name in ("check", "code", "score", "start", "end")},
                    "action": each.action,
                    "enforced": each.enforced,
                }
                for each in self.rulings
            ],
            "failures": [{"check": each.check, "reason": each.reason, "closed": each.closed} for each in self.failures],
        }


def _tried(chain: Chain, phase: str, text: str, stream: bool, here: Here) -> Tried:
    from guardrails.jsontext import JsonText
    from guardrails.masking import Vault
    from guardrails.running import Running
    from guardrails.screen import Screen
    from guardrails.verdict import Phase

    screens: list[Screen] = []
    mask = Vault(b"lockgate checks try: nothing here is secret", "", "").mask

    def begin() -> Running:
        screens.append(Screen(chain.rows(Phase(phase)), mask))
        return Running(screens[-1], here.perform)

    stage = JsonText(begin) if phase == Phase.TOOL_CALL and _is_document(text) else begin()
    pieces = list(_cut(text)) if stream else [text]
    begun = time.process_time_ns()
    delivered = "".join([*map(stage.feed, pieces), stage.finish()])
    taken_ns = time.process_time_ns() - begun - sum(here.taken_ns.values())
    if isinstance(stage, JsonText) and any(screen.blocked for screen in screens):
        delivered = ""  # a call is made as a whole or not at all
    verdicts = tuple(screen.verdict() for screen in screens)
    return Tried(chain, phase, delivered, len(pieces), verdicts, here, max(0, taken_ns))


def _is_document(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _cut(text: str) -> Iterator[str]:
    at = number = 0
    while at < len(text):
        size = _SIZES[number % len(_SIZES)]
        yield text[at : at + size]
        at, number = at + size, number + 1


def _told(found: Tried) -> Iterator[str]:
    from gateway.config.describe_chains import held
    from guardrails.verdict import Phase

    if not found.chain.of(Phase(found.phase)):
        yield f"No check of this chain looks at texts of phase {found.phase}."
        if (found.chain.tools or found.chain.watched_tools) and found.phase == Phase.TOOL_CALL:
            yield "Its list of tools allows or refuses a call by its tool's name and arguments, which a text has not."
    elif found.rulings:
        yield from aligned(
            [("check", "found", "score", "where", "what follows"), *map(_ruling, found.rulings)], 2, last_left=True
        )
    else:
        yield "Nothing was found."
    for failure in sorted({*found.failures}, key=lambda each: each.check):
        why = found.here.unasked.get(failure.check, failure.reason)
        follows = "the text is blocked (fail_closed)" if failure.closed else "the text passes (fail_open, or observed)"
        yield f"{failure.check} did not judge: {why}; {follows}"
    yield f"\nVerdict: {found.verdict}"
    yield f"Held back: {held(found.chain, Phase(found.phase))}"
    taken = {"patterns and screen": found.taken_ns, **found.here.taken_ns}
    yield f"CPU: {', '.join(f'{name} {taken_ns / 1e6:.1f} ms' for name, taken_ns in taken.items())}"


def _ruling(ruling: Ruling) -> tuple[str, str, str, str, str]:
    finding = ruling.finding
    follows = ruling.action if ruling.enforced else f"nothing: {ruling.action} is only observed"
    return finding.check, finding.code, f"{finding.score:.2f}", f"{finding.start}–{finding.end}", follows
