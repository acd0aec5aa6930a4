"""`lockgate checks eval`: a chain, measured on texts of which it is known what is in them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from gateway.cli import admin_options, checks_places
from gateway.cli.checks_places import Here
from gateway.cli.checks_rates import Confusion, Rate, rate
from gateway.cli.meters_table import aligned
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from guardrails.chain import Chain
    from guardrails.chain import Row as ChainRow
    from guardrails.verdict import Phase, Verdict

ALL = "all"
_MEASURES = ("precision", "recall", "f1", "false_positive_rate")
_HEADS = ("", "texts", "labelled", "precision", "recall", "F1", "false positives")
_NONE = "–"


class Span(msgspec.Struct, frozen=True):
    """A part of a text, in characters; `end` is behind it. What else stands with it is passed over."""

    start: int
    end: int


class Row(msgspec.Struct, frozen=True):
    """One text of the data."""

    text: str
    label: bool | int | None = None
    """Whether something is to be found; with spans, whether there are any."""
    source: str = ""
    spans: tuple[Span | tuple[Any, ...], ...] | None = None
    """What is to be found: `{"start": 5, "end": 13}` or `[5, 13]`, perhaps with what it is."""

    def __post_init__(self) -> None:
        if self.label is None and self.spans is None:
            raise ValueError("neither a label (0 or 1) nor spans")
        if self.label not in (None, 0, 1):
            raise ValueError("a label is 0 or 1, true or false")
        for span in self.spans or ():
            if not isinstance(span, Span) and [type(place) for place in span[:2]] != [int, int]:
                raise ValueError('a span is {"start": 5, "end": 13} or [5, 13]')

    @property
    def labelled(self) -> bool:
        return bool(self.spans) if self.label is None else bool(self.label)

    @property
    def places(self) -> list[tuple[int, int]]:
        """Where the spans begin and end."""
        return [(span.start, span.end) if isinstance(span, Span) else (span[0], span[1]) for span in self.spans or ()]


class Figures(NamedTuple):
    """What was counted."""

    of: dict[str, Confusion]
    """By source; all together are last."""
    checks: dict[str, Confusion]
    """By check, as if it were alone."""
    unjudged: int
    """Texts in which nothing was found, and of which a check could not tell: they count nowhere."""
    spans: tuple[int, int]
    """Labelled spans that a finding overlaps, of how many."""
    findings: tuple[int, int]
    """Findings that overlap a labelled span, of how many in rows with spans."""


@click.command(name="eval", short_help="Measure a chain on labelled texts.")
@click.argument("data", metavar="DATA.jsonl", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@checks_places.options
@admin_options.output
def eval_(data: Path, chain: str, phase: str, directory: Path | None, form: str) -> None:
    """Runs a chain over the texts of DATA.jsonl, one JSON object a line, and says how often it finds something where
    there is something, and where there is nothing, with 95 % intervals (Wilson).

    \b
      {"text": "…", "label": 1, "source": "mail"}
      {"text": "Call 555-0100", "spans": [[5, 13, "PHONE_NUMBER"]]}

    `label` is 1 or 0, true or false. A check counts whether it is enforced or only observes. Webhooks and models are
    not asked.
    """
    from guardrails.verdict import Phase

    found = checks_places.chain_of(chain, directory)
    if not found.of(Phase(phase)):
        raise ConfigError(f"no check of the chain {chain} looks at texts of phase {phase}")
    here = Here()
    figures = measured(found, Phase(phase), rows(data), here)
    if form == "json":
        click.echo(json.dumps(as_json(figures)))
        return
    click.echo(f"Chain {chain}, phase {phase}, on {data}; 95 % intervals (Wilson)\n")
    for line in told(figures, here):
        click.echo(line)


def rows(path: Path) -> list[Row]:
    """The rows of a file. Raises ConfigError with the line of one that is none."""
    decode = msgspec.json.Decoder(Row).decode
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}:{number}: not a text with its label: {error}") from error
    if not found:
        raise ConfigError(f"{path}: no rows")
    return found


def measured(chain: Chain, phase: Phase, data: Sequence[Row], here: Here) -> Figures:
    """What a chain finds in these texts."""
    observing = _observing(chain).rows(phase)
    sources: dict[str, Confusion] = {row.source: Confusion() for row in data if row.source}
    overall, unjudged = Confusion(), 0
    checks = {link.check.name: Confusion() for link in chain.of(phase)}
    spans, findings = (0, 0), (0, 0)
    for row in data:
        verdict = _verdict(observing, row.text, here)
        flagged = {ruling.finding.check for ruling in verdict.rulings}
        failed = {failure.check for failure in verdict.failures}
        for name in checks.keys() - (failed - flagged):
            checks[name] = checks[name].plus(row.labelled, name in flagged)
        if failed and not flagged:
            unjudged += 1
            continue
        overall = overall.plus(row.labelled, bool(flagged))
        if row.source:
            sources[row.source] = sources[row.source].plus(row.labelled, bool(flagged))
        if row.spans is not None:
            told = [(ruling.finding.start, ruling.finding.end) for ruling in verdict.rulings]
            spans = _added(spans, _overlapping(row.places, told))
            findings = _added(findings, _overlapping(told, row.places))
    return Figures({**sources, ALL: overall}, checks, unjudged, spans, findings)


def _observing(chain: Chain) -> Chain:
    """The chain with nothing enforced: a block would hide what comes after it."""
    from guardrails.chain import Chain

    return Chain(chain.name, tuple(replace(link, enforced=False) for link in chain.links))


def _verdict(rows_: Sequence[ChainRow], text: str, here: Here) -> Verdict:
    from guardrails.running import run
    from guardrails.screen import Screen

    screen = Screen(rows_)
    run(screen, [text], here.perform)
    return screen.verdict()


def _overlapping(these: list[tuple[int, int]], those: list[tuple[int, int]]) -> tuple[int, int]:
    """How many of these overlap one of those, and how many there are."""
    hits = sum(any(start < end_ and start_ < end for start_, end_ in those) for start, end in these)
    return hits, len(these)


def _added(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    return first[0] + second[0], first[1] + second[1]


def told(figures: Figures, here: Here) -> Iterator[str]:
    """The figures as tables."""
    yield from aligned([_HEADS, *(_line(name or ALL, each) for name, each in figures.of.items())], 1)
    if len(figures.checks) > 1:
        yield ""
        yield from aligned([("check alone", *_HEADS[1:]), *(_line(*each) for each in figures.checks.items())], 1)
    for what, counts in (("spans found", figures.spans), ("findings that are in a span", figures.findings)):
        if counts[1]:
            yield f"\n{what}: {rate(*counts)}; {counts[0]} of {counts[1]}"
    if figures.unjudged:
        why = "; ".join(f"{check}: {reason}" for check, reason in here.unasked.items())
        yield f"\n{figures.unjudged} texts were not judged and count nowhere ({why})"


def _line(name: str, counted: Confusion) -> tuple[str, ...]:
    rates = [getattr(counted, measure) for measure in _MEASURES]
    labelled = counted.found + counted.missed
    return (name, f"{counted.texts}", f"{labelled}", *(_NONE if each is None else str(each) for each in rates))


def as_json(figures: Figures) -> dict[str, Any]:
    """The figures for programs."""
    return {
        "sources": {name: _measures(counted) for name, counted in figures.of.items()},
        "checks": {name: _measures(counted) for name, counted in figures.checks.items()},
        "unjudged": figures.unjudged,
        "spans_found": _shown(rate(*figures.spans)),
        "findings_in_spans": _shown(rate(*figures.findings)),
    }


def _measures(counted: Confusion) -> dict[str, Any]:
    shown = {measure: _shown(getattr(counted, measure)) for measure in _MEASURES}
    return {"texts": counted.texts, **counted._asdict(), **shown}


def _shown(found: Rate | None) -> dict[str, float] | None:
    return None if found is None else found._asdict()
