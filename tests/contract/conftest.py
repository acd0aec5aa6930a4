"""The servers under the contract, started once a session."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.contract.upstreams import Servers


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Every kind of server with a gateway in front, each started when a test first asks for it."""
    with ExitStack() as stack:
        yield Servers(stack, tmp_path_factory.mktemp("contract"))
