"""Customers for the demo's classic model, and the requests that ask about them: numbers, whole numbers and a text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parents[2] / "configs" / "demo" / "classic" / "churn"
HEADER_LENGTH = "Inference-Header-Content-Length"


def arrays(rows: int) -> dict[str, np.ndarray[Any, Any]]:
    """The columns of `rows` customers, each of shape [rows, 1]."""
    made = np.random.default_rng(7)
    columns = {
        "age": made.integers(18, 90, rows).astype(np.float32),
        "plan": made.choice(np.array(["free", "pro", "team"], dtype=object), rows),
        "monthly_spend": made.gamma(3.0, 12.0, rows).astype(np.float32),
        "months": made.integers(0, 120, rows),
        "tickets": made.poisson(1.2, rows),
    }
    return {name: column.reshape(rows, 1) for name, column in columns.items()}


def binary_body(rows: int) -> tuple[bytes, int]:
    """A request in the binary extension, as tritonclient sends it: its bytes, and how many of them are JSON."""
    inputs, parts = [], []
    for name, column in arrays(rows).items():
        data, datatype = _encoded(column)
        parts.append(data)
        shape = list(column.shape)
        inputs.append(
            {"name": name, "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": len(data)}}
        )
    header = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}, separators=(",", ":")).encode()
    return b"".join([header, *parts]), len(header)


def json_body(rows: int) -> bytes:
    """The same in JSON."""
    names = {"f": "FP32", "i": "INT64", "O": "BYTES"}
    inputs = [
        {
            "name": name,
            "shape": list(column.shape),
            "datatype": names[column.dtype.kind],
            "data": column.ravel().tolist(),
        }
        for name, column in arrays(rows).items()
    ]
    return json.dumps({"inputs": inputs}, separators=(",", ":")).encode()


def _encoded(column: np.ndarray[Any, Any]) -> tuple[bytes, str]:
    if column.dtype.kind == "f":
        return column.astype("<f4").tobytes(), "FP32"
    if column.dtype.kind == "i":
        return column.astype("<i8").tobytes(), "INT64"
    texts = [text.encode() for text in column.ravel()]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts), "BYTES"
