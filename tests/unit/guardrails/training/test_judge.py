"""Figures of a model, with their intervals."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy", reason="the extra `training` is absent: scipy")

from guardrails.classifiers import features
from guardrails.training import fit, judge
from guardrails.training.sources import Text

SHAPE = fit.Shape(surface=1.0, concept=1.0, pair=1.0, triple=1.0, penalty=1e-2, length=0.5, rarest=1)


def test_a_share_is_told_with_its_interval_and_its_counts() -> None:
    assert str(judge.Share(85, 100)) == "85.0 % (76.7 to 90.7; 85 of 100)"
    assert str(judge.Share(0, 0)) == "none"
    assert judge.share(np.array([0.1, 2.0, 3.0]), 2.0) == (2, 3)


def test_the_area_counts_ties_half() -> None:
    labels = np.array([0.0, 0.0, 1.0, 1.0])
    assert judge.area(labels, np.array([1.0, 2.0, 3.0, 4.0])) == 1.0
    assert judge.area(labels, np.array([4.0, 3.0, 2.0, 1.0])) == 0.0
    assert judge.area(labels, np.array([1.0, 1.0, 1.0, 1.0])) == 0.5


def test_a_group_is_never_split_and_what_is_left_out_is_scored() -> None:
    texts = [
        Text(f"{word} number {n}", label, "made", "x", f"{word}{n // 2}")
        for n in range(8)
        for word, label in (("attack", 1), ("peace", 0))
    ]
    trial = judge.Trial(texts, features.Reader(features.Lexicon([])), SHAPE, {})
    scores = trial.left_out(2, np.arange(12))
    assert np.isnan(scores[12:]).all()
    assert judge.area(trial.labels[:12], scores[:12]) == 1.0
    assert len(set(trial.groups.tolist())) == 8


def test_a_text_is_shown_by_the_worst_of_what_it_says() -> None:
    attack = "attack attack attack attack attack attack"
    texts = [Text(attack, 1, "made", "x"), Text("peace", 0, "made", "x"), Text(attack.encode().hex(), 1, "made", "x")]
    trial = judge.Trial(texts, features.Reader(features.Lexicon([])), SHAPE, {})
    table, bias = trial.fitted(np.arange(2))
    plain, _, hidden = trial.logits(table, bias)
    assert hidden < plain
    assert trial.shown(table, bias, np.array([0, 2])).tolist() == [plain, plain]


def test_a_table_has_a_row_for_each_share() -> None:
    table = judge.Table()
    table.row("recall", np.array([0.1, 2.0]), 1.0)
    assert table.lines[2:] == ["| recall | 50.0 % (9.5 to 90.5; 1 of 2) |"]
