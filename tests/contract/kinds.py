"""The kinds of server as pytest parameters: their markers, how long a test may wait for them, why one is skipped."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from tests.contract.upstreams import KINDS
from tests.support import vllm

BUILD_S = 1800.0  # the first test that needs vLLM builds it: packages of 2.5 GB, and 5.5 GB at worst

_MARKS: dict[str, list[pytest.MarkDecorator]] = {
    "fake": [],
    "llama_cpp": [pytest.mark.llama_cpp],
    "minilm": [pytest.mark.embeddings],
    "vllm": [pytest.mark.vllm, pytest.mark.timeout(BUILD_S)],
    "vllm_embeddings": [pytest.mark.vllm, pytest.mark.timeout(BUILD_S)],
}
_MODULES = {"llama_cpp": "xllamacpp", "minilm": "onnxruntime"}


def of(kind: str, *values: str) -> Any:
    """The parameters `kind` and `values` of a test, marked as the kind is."""
    return pytest.param(kind, *values, id="-".join((kind, *values)), marks=_MARKS[kind])


def each() -> list[Any]:
    """One parameter for each kind."""
    return [of(kind) for kind in KINDS]


def require(kind: str) -> None:
    """Skips the test, with the reason, where this kind of server is left out or cannot run."""
    module = _MODULES.get(kind)
    if module is not None and importlib.util.find_spec(module) is None:
        pytest.skip("the extra `embedded` is not installed")
    if kind.startswith("vllm"):
        try:
            vllm.require()
        except vllm.VllmUnavailable as reason:
            pytest.skip(str(reason))
