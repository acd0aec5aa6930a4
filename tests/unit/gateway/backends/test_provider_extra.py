"""gateway.backends.provider_extra"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gateway.backends import provider_extra


def _installed(folder: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = folder / f"litellm-{version}.dist-info"
    found.mkdir()
    (found / "METADATA").write_text(f"Metadata-Version: 2.1\nName: litellm\nVersion: {version}\n")
    monkeypatch.setattr(sys, "path", [str(folder)])


def test_what_is_missing_comes_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    told = provider_extra.missing()
    assert told is not None
    assert told.endswith("pip install 'lockgate[providers]'")


def test_an_installed_package_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(tmp_path, "1.106.0", monkeypatch)
    assert provider_extra.missing() is None


def test_the_compromised_release_is_refused_without_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _installed(tmp_path, "1.107.0", monkeypatch)
    (tmp_path / "litellm.py").write_text("raise AssertionError('imported')\n")
    assert "compromised" in (provider_extra.missing() or "")


def test_litellm_sees_neither_keys_nor_addresses_that_the_configuration_does_not_name() -> None:
    environ = dict.fromkeys(
        (
            *("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "AZURE_API_KEY", "LITELLM_LOG", "litellm_x"),
            *("PATH", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "GOOGLE_APPLICATION_CREDENTIALS", "HTTPS_PROXY"),
        ),
        "x",
    )
    kept = set(environ) - set(provider_extra.unwanted(environ))
    assert kept == {"PATH", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "GOOGLE_APPLICATION_CREDENTIALS", "HTTPS_PROXY"}


def test_no_argument_holds_more_than_the_socket_and_the_parent() -> None:
    arguments = provider_extra.arguments("/run/p.sock")
    assert arguments[:4] == ["-m", "gateway.backends.provider", "--socket", "/run/p.sock"]
    assert arguments[4] == "--parent"
