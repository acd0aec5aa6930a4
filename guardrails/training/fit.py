"""Fitting: logistic regression over the windows of a text, where the text is judged by its worst places.

A text is a bag of windows (two neighbouring units). The score of a text is the soft maximum of its windows' scores, so
an instruction hidden in a long document is not diluted, and which window of an attack is the attack need not be known:
that is multiple-instance learning. The loss is minimised by L-BFGS from zero, on one thread: the same data give the
same weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from guardrails.classifiers import features

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

MOST_WINDOWS: Final = 40
"""Windows of one text that are looked at: those in the middle of a longer one are left out."""


class Shape(NamedTuple):
    """How a model is fitted: found by trying, on sources and templates that were left out."""

    surface: float
    """How freely surface features get weight, against 1 for the rest: a larger one generalises less."""
    concept: float
    pair: float
    triple: float
    penalty: float
    """On the squares of the weights."""
    length: float
    rarest: int
    """A feature is used when texts of so many groups have it."""
    rounds: int = 80


class Bags(NamedTuple):
    """Windows by features, and where the windows of each text begin (one more than there are texts)."""

    windows: csr_matrix
    starts: Numbers


def bags(reader: features.Reader, texts: Sequence[str]) -> Bags:
    """The windows of texts, each feature with the value it has for a classifier."""
    columns: list[int] = []
    values: list[float] = []
    ends = [0]
    starts = [0]
    for text in texts:
        windows = features.windows(reader.units(text))
        if len(windows) > MOST_WINDOWS:
            windows = windows[: MOST_WINDOWS // 2] + windows[-MOST_WINDOWS // 2 :]
        for window in windows:
            scale = features.surface_scale(sum(len(unit.surface) for unit in window))
            for unit in window:
                columns += sorted(unit.surface)
                values += [scale] * len(unit.surface)
                columns += sorted(unit.concepts)
                values += [1.0] * len(unit.concepts)
            ends.append(len(columns))
        starts.append(len(ends) - 1)
    shape = (len(ends) - 1, features.SLOTS)
    matrix = csr_matrix((np.array(values, np.float32), np.array(columns, np.int32), np.array(ends)), shape=shape)
    matrix.sum_duplicates()
    return Bags(matrix, np.array(starts))


def part(data: Bags, chosen: Numbers) -> Bags:
    """The texts with these numbers."""
    rows = np.concatenate([np.arange(data.starts[i], data.starts[i + 1]) for i in chosen])
    return Bags(data.windows[rows], np.append(0, np.cumsum(np.diff(data.starts)[chosen])))


def pooled(scores: Floats, starts: Numbers, length: float) -> tuple[Floats, Floats]:
    """`features.pooled` of each text, and each window's share in it."""
    counts = np.diff(starts)
    highest = np.maximum.reduceat(scores, starts[:-1])
    powers = np.exp(scores - np.repeat(highest, counts))
    sums = np.add.reduceat(powers, starts[:-1])
    milder = length * np.log(np.minimum(counts, features.COUNTED_WINDOWS))
    return highest + np.log(sums) - milder, powers / np.repeat(sums, counts)


def fit(data: Bags, labels: Floats, weights: Floats, groups: Numbers, shape: Shape) -> tuple[Floats, float]:
    """The table of weights and the bias that fit labels (0 or 1) of texts, each counted `weights` times."""
    freedom = _freedom(data, groups, shape)
    used = np.flatnonzero(freedom)
    x = data.windows[:, used].tocsr()
    x.data *= freedom[used].astype(np.float32)[x.indices]
    transposed = x.T.tocsr()
    counts = np.diff(data.starts)
    total = weights.sum()

    def loss(parameters: Floats) -> tuple[float, Floats]:
        w, bias = parameters[:-1], parameters[-1]
        scores, shares = pooled(np.asarray(x @ w.astype(np.float32), np.float64), data.starts, shape.length)
        scores = scores + bias
        value = (weights * np.logaddexp(0, (1 - 2 * labels) * scores)).sum() / total + shape.penalty * (w @ w) / 2
        slope = weights * (1 / (1 + np.exp(-scores)) - labels) / total
        by_window = (np.repeat(slope, counts) * shares).astype(np.float32)
        return float(value), np.append(transposed @ by_window + shape.penalty * w, slope.sum())

    options = {"maxiter": shape.rounds}
    found = minimize(loss, np.zeros(len(used) + 1), jac=True, method="L-BFGS-B", options=options)
    table = np.zeros(features.SLOTS)
    table[used] = found.x[:-1] * freedom[used]
    return table, float(found.x[-1])


def logits(data: Bags, table: Floats, bias: float, length: float) -> Floats:
    """Log-odds of texts."""
    return pooled(np.asarray(data.windows @ table.astype(np.float32), np.float64), data.starts, length)[0] + bias


def _freedom(data: Bags, groups: Numbers, shape: Shape) -> Floats:
    """How freely each feature gets weight: not at all when texts of fewer than `rarest` groups have it."""
    rows = np.repeat(np.repeat(groups, np.diff(data.starts)), np.diff(data.windows.indptr))
    # One number for a feature and a group: rows of pairs would take numpy half a minute to tell apart.
    pairs = np.unique(data.windows.indices.astype(np.int64) * (int(groups.max()) + 1) + rows)
    often = np.bincount(pairs // (int(groups.max()) + 1), minlength=features.SLOTS) >= shape.rarest
    free = np.full(features.SLOTS, shape.surface)
    free[features.SURFACE_SLOTS : features.PAIRS] = shape.concept
    free[features.PAIRS : features.TRIPLES] = shape.pair
    free[features.TRIPLES :] = shape.triple
    return np.where(often, free, 0.0)
