"""The servers under the contract, started once a session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack

import pytest

from tests.contract.upstreams import Servers
from tests.support import vllm


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Every kind of server with a gateway in front, each started when a test first asks for it."""
    with ExitStack() as stack:
        started = Servers(stack, tmp_path_factory.mktemp("contract"))
        if vllm.is_wanted() and vllm.is_built():
            # vLLM takes half a minute to start: let it, while the light servers are tested. Building it would take
            # minutes, for which only its own tests have the time.
            for kind in sorted(_kinds(request.session.items) & {"vllm", "vllm_embeddings"}):
                started.begin(kind)
        yield started


def _kinds(items: Iterable[pytest.Item]) -> set[str]:
    """The kinds of server the session's tests are about."""
    specs = [item.callspec for item in items if isinstance(item, pytest.Function) and hasattr(item, "callspec")]
    return {str(spec.params.get("kind", "")) for spec in specs}
