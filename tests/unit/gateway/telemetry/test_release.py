"""gateway.telemetry.release"""

from __future__ import annotations

import re

from gateway.telemetry.release import version


def test_it_is_the_installed_version_or_says_that_there_is_none() -> None:
    assert version() == "source" or re.match(r"\d+\.\d+", version())
