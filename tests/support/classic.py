"""Classic models to serve in a test, and requests in the bytes of the Open Inference Protocol."""

from __future__ import annotations

from typing import Any

from gateway.backends.onnx import Session
from gateway.config.model import Column, Config
from gateway.policy import columns
from tests.support import onnx_models
from tests.support.gateway import KEY, Classic, config, post

ROW = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}


def config_of(**options: Any) -> Config:
    versions = {"versions": {"2": "unused", "10": "unused"}}
    models: dict[str, dict[str, Any]] = {
        "churn": {"kind": "onnx", **versions},
        "other/churn": {"kind": "onnx", **versions},
        "prices": {"kind": "onnx", "versions": {"1": "unused"}},
        "slow": {"kind": "onnx", "versions": {"1": "unused"}},
        "llm": {"backend": "b", "served_model": "served"},
    }
    return config({"b": [options.pop("url", "http://127.0.0.1:9")]}, models, **options)


def sessions() -> Classic:
    churn = Session(onnx_models.linear(), "churn (version 10)")
    people = Session(onnx_models.columns(), "churn (version 2)")
    people.rows = columns.compile(
        {"age": Column(min=18), "plan": Column(one_of=("free", "pro"))}, people.signature.inputs
    )
    return {
        "churn": {"2": people, "10": churn},
        "other/churn": {"2": people, "10": churn},
        "prices": {"1": Session(onnx_models.look_up(), "prices (version 1)")},
        "slow": {"1": Session(onnx_models.rounds(), "slow (version 1)")},
    }


def get(path: str, key: str | None = KEY, method: str = "GET") -> bytes:
    authorization = f"authorization: Bearer {key}\r\n" if key else ""
    return f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{authorization}\r\n".encode()


def infer(request: dict[str, Any] | bytes = ROW, model: str = "churn", **options: Any) -> bytes:
    return post(request, path=f"/v2/models/{model}/infer", **options)


def header_of(answer: bytes, name: str) -> str:
    head = answer.partition(b"\r\n\r\n")[0].decode()
    return next(line.partition(": ")[2] for line in head.splitlines() if line.lower().startswith(f"{name}: "))


def person(**changes: Any) -> dict[str, Any]:
    data = {"age": ("FP32", 40), "plan": ("BYTES", "pro"), "visits": ("INT64", 2), "member": ("BOOL", True)}
    return {
        "inputs": [
            {"name": name, "shape": [1, 1], "datatype": kind, "data": [changes.get(name, value)]}
            for name, (kind, value) in data.items()
        ]
    }
