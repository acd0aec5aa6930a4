"""What a model is worth: figures on texts that it was not fitted to, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np

from guardrails.classifiers import features
from guardrails.normalise import views
from guardrails.training import fit
from guardrails.training.groups import grouped
from guardrails.training.sources import Text


class Trial:
    """Texts with their features and groups, to be fitted in part and judged on the rest."""

    def __init__(
        self, texts: Sequence[Text], reader: features.Reader, shape: fit.Shape, counts: Mapping[str, int]
    ) -> None:
        """`counts` says how many texts a source counts for, whatever number of texts it has; 30 where it says none."""
        self.texts = list(texts)
        self.shape = shape
        self.labels = np.array([float(text.label) for text in texts])
        self.sources = np.array([text.source for text in texts])
        self.kinds = np.array([text.kind for text in texts])
        self.groups = np.array(grouped([text.text for text in texts], [text.group for text in texts]))
        self.bags = fit.bags(reader, [text.text for text in texts])
        self._counts = counts
        self._reader = reader

    def fitted(self, chosen: fit.Numbers) -> tuple[fit.Floats, float]:
        """Weights and bias fitted to the texts with these numbers."""
        weights = self._weights(chosen)
        data = fit.part(self.bags, chosen)
        return fit.fit(data, self.labels[chosen], weights, self.groups[chosen], self.shape)

    def logits(self, table: fit.Floats, bias: float) -> fit.Floats:
        """Log-odds of all texts."""
        return fit.logits(self.bags, table, bias, self.shape.length)

    def shown(self, table: fit.Floats, bias: float, chosen: fit.Numbers) -> fit.Floats:
        """Log-odds of the texts with these numbers as a classifier scores them: each by the worst of its views."""
        seen = [[view.text for view in views(self.texts[number].text)] for number in chosen.tolist()]
        starts = np.cumsum([0, *map(len, seen[:-1])])
        data = fit.bags(self._reader, [text for texts in seen for text in texts])
        return np.maximum.reduceat(fit.logits(data, table, bias, self.shape.length), starts)

    def left_out(self, folds: int, usable: fit.Numbers) -> fit.Floats:
        """Log-odds of each usable text by a model fitted to the other folds; a group is in one fold. NaN elsewhere."""
        names = np.unique(self.groups[usable])
        fold_of = dict(
            zip(names.tolist(), (np.random.default_rng(11).permutation(len(names)) % folds).tolist(), strict=True)
        )
        fold = np.array([fold_of[group] for group in self.groups[usable].tolist()])
        found = np.full(len(self.texts), np.nan)
        for number in range(folds):
            scores = self.logits(*self.fitted(usable[fold != number]))
            found[usable[fold == number]] = scores[usable[fold == number]]
        return found

    def _weights(self, chosen: fit.Numbers) -> fit.Floats:
        """Each source counts for a set number of texts, and both labels for as much."""
        weights = np.ones(len(chosen))
        for source in np.unique(self.sources[chosen]):
            for label in (0.0, 1.0):
                of = (self.sources[chosen] == source) & (self.labels[chosen] == label)
                if of.any():
                    weights[of] = self._counts.get(str(source), 30) / of.sum()
        bad = self.labels[chosen] == 1
        weights[~bad] *= weights[bad].sum() / weights[~bad].sum()
        return weights


class Share(NamedTuple):
    """A share of texts with its 95 % interval (Wilson)."""

    hits: int
    total: int

    def __str__(self) -> str:
        if not self.total:
            return "none"
        z = 1.96
        p, n = self.hits / self.total, self.total
        middle, half = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        low, high = ((middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
        return f"{100 * p:.1f} % ({100 * max(0.0, low):.1f} to {100 * min(1.0, high):.1f}; {self.hits} of {n})"


def share(logits: fit.Floats, threshold: float) -> Share:
    """How many reach a threshold."""
    return Share(int((logits >= threshold).sum()), len(logits))


class Table:
    """The figures of a card, a row each."""

    def __init__(self) -> None:
        self.lines = ["| measured on | false alarms or recall (95 %) |", "|---|---|"]

    def row(self, name: str, logits: fit.Floats, threshold: float) -> None:
        self.lines.append(f"| {name} | {share(logits, threshold)} |")


class Made(NamedTuple):
    """A fitted model and the lines of the figures in its card. The bias puts the threshold at 0.5."""

    table: fit.Floats
    bias: float
    length: float
    figures: list[str]


def area(labels: fit.Floats, logits: fit.Floats) -> float:
    """The area under the ROC curve: how often a bad text scores higher than a good one, ties half."""
    order = np.unique(logits, return_inverse=True)[1]
    counts = np.bincount(order)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[order]
    bad = labels == 1
    return float((ranks[bad].sum() - bad.sum() * (bad.sum() + 1) / 2) / (bad.sum() * (~bad).sum()))


def interval(labels: fit.Floats, logits: fit.Floats, measure: Callable[[fit.Floats, fit.Floats], float]) -> str:
    """A measure with its 95 % interval, from 300 samples of the texts with replacement."""
    random = np.random.default_rng(7)
    drawn = [random.integers(len(labels), size=len(labels)) for _ in range(300)]
    values = np.quantile([measure(labels[i], logits[i]) for i in drawn], [0.025, 0.975])
    return f"{measure(labels, logits):.3f} ({values[0]:.3f} to {values[1]:.3f}; {len(labels)} texts)"
