"""The servers under the contract, started once a session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.contract.upstreams import Servers
from tests.support import vllm

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts what needs vLLM last among the contract's tests: it starts while the others run."""
    ours = [index for index, item in enumerate(items) if HERE in item.path.parents]
    ordered = sorted((items[index] for index in ours), key=lambda item: item.get_closest_marker("vllm") is not None)
    for index, item in zip(ours, ordered, strict=True):
        items[index] = item


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Every kind of server with a gateway in front, each started when a test first asks for it."""
    with ExitStack() as stack:
        started = Servers(stack, tmp_path_factory.mktemp("contract"))
        if vllm.is_wanted() and vllm.is_built():  # building takes minutes, for which only its own tests have the time
            for kind in sorted(_kinds(request.session.items) & {"vllm", "vllm_embeddings"}):
                started.begin(kind)
        yield started


def _kinds(items: Iterable[pytest.Item]) -> set[str]:
    """The kinds of server the session's tests are about."""
    specs = [item.callspec for item in items if isinstance(item, pytest.Function) and hasattr(item, "callspec")]
    return {str(spec.params.get("kind", "")) for spec in specs}
