"""What holds for every test: how hypothesis searches. Machinery for tests is in `tests/support`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# CI repeats the same examples, so that it fails only for what a commit touched; `long` is for searching by hand.
# No deadline: how long an example takes says something about the machine, and timing is the bench's business.
settings.register_profile("dev", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), max_examples=200, derandomize=True, print_blob=True)
settings.register_profile("long", parent=settings.get_profile("dev"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
