"""Trains the demo's classic model: who will leave a subscription, from five columns of a customer.

The customers are made up here, so nothing is personal and anyone can train it again. What a caller must do to a value
before the model sees it (scaling numbers, spreading the plan over columns) is in the graph, not in the caller.

    python -m venv train && train/bin/pip install scikit-learn==1.9.1 skl2onnx==1.20.0 onnx==1.23.2
    train/bin/python configs/demo/classic/train.py churn.onnx
    lockgate models package churn.onnx --name churn-demo --schema configs/demo/classic/schema.yaml \
        --note "scaling and one-hot encoding are in the graph" --out configs/demo/classic/churn
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

PLANS = ("free", "pro", "team")
NUMBERS = ("age", "monthly_spend", "months", "tickets")
INPUTS = [
    ("age", FloatTensorType([None, 1])),
    ("plan", StringTensorType([None, 1])),
    ("monthly_spend", FloatTensorType([None, 1])),
    ("months", Int64TensorType([None, 1])),
    ("tickets", Int64TensorType([None, 1])),
]
COLUMNS = [name for name, _ in INPUTS]


def customers(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of COLUMNS, and 1 for each customer who left."""
    random = np.random.default_rng(seed)
    age = random.integers(18, 90, count)
    plan = random.choice(PLANS, count, p=(0.5, 0.35, 0.15))
    spend = np.where(plan == "free", 0.0, random.gamma(3.0, 12.0, count)).round(2)
    months = random.integers(0, 120, count)
    tickets = random.poisson(1.2, count)
    leaning = 0.9 * tickets - 0.035 * months - 0.6 * (plan == "team") + 0.5 * (plan == "free") + 0.012 * spend
    leaning += -0.01 * (age - 45) - 0.4
    left = random.random(count) < 1 / (1 + np.exp(-leaning))
    return np.column_stack([age, plan, spend, months, tickets]).astype(object), left.astype(np.int64)


def train(target: Path) -> None:
    """Writes the model and says how good it is."""
    rows, left = customers(20_000, seed=2026)
    known, held, known_left, held_left = train_test_split(rows, left, random_state=2026)
    numbers = [COLUMNS.index(name) for name in NUMBERS]
    preparing = ColumnTransformer(
        [("numbers", StandardScaler(), numbers), ("plan", OneHotEncoder(categories=[list(PLANS)]), [1])]
    )
    trees = GradientBoostingClassifier(n_estimators=40, max_depth=3, random_state=2026)
    model = Pipeline([("preparing", preparing), ("trees", trees)]).fit(known, known_left)
    sys.stdout.write(f"accuracy on customers it has not seen: {model.score(held, held_left):.3f}\n")
    written = convert_sklearn(
        model,
        "churn",
        initial_types=INPUTS,
        final_types=[("left", Int64TensorType([None])), ("probabilities", FloatTensorType([None, 2]))],
        options={id(trees): {"zipmap": False}},
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    target.write_bytes(written.SerializeToString())


if __name__ == "__main__":
    train(Path(sys.argv[1]))
