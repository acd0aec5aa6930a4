from __future__ import annotations

from gateway.config.model_content import Content


def test_a_policy_never_shows_what_locks_its_keys() -> None:
    assert "hush" not in repr(Content(record="full", key="hush"))
