"""What holds for every test: how hypothesis searches, and the one PostgreSQL that tests share. Machinery for tests is
in `tests/support`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.control_stores import KINDS, Site, site
from tests.support.store_servers import PostgresServer, missing, running

# CI repeats the same examples, so that it fails only for what a commit touched; `long` is for searching by hand.
# No deadline: how long an example takes says something about the machine, and timing is the bench's business.
settings.register_profile("dev", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), max_examples=200, derandomize=True, print_blob=True)
settings.register_profile("long", parent=settings.get_profile("dev"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for all tests that neither stop it nor change its settings; skips them where there is none."""
    if reason := missing("postgresql"):
        pytest.skip(reason)
    server = PostgresServer()
    with running(server):
        yield server


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """An empty control store of each kind, with a state directory of its own."""
    return site(request.param, tmp_path, request)
