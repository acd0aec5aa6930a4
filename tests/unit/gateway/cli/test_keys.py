from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.config.load import load
from gateway.control.issuing import new_key

BASE = "backends: {b: {kind: fake}}\nmodels: {m: {backend: b}}\n"


def new(*arguments: str) -> tuple[str, str]:
    """The output, and the secret in it."""
    said = CliRunner().invoke(main, ["keys", "new", *arguments])
    assert said.exit_code == 0
    (secret,) = re.findall(r"lg-[A-Za-z0-9_-]{43}\b", said.output)
    return said.output, secret


def test_a_secret_holds_256_random_bits_and_its_hash_covers_all_of_it() -> None:
    made = new_key()
    assert re.fullmatch(r"lg-[A-Za-z0-9_-]{43}", made.secret)
    assert made.hash == "sha256:" + hashlib.sha256(made.secret.encode()).hexdigest()
    assert new_key().secret != made.secret
    assert made.secret not in repr(made)


def test_the_lines_it_prints_are_a_configuration_that_knows_the_secret(tmp_path: Path) -> None:
    printed, secret = new("--tenant", "acme", "--key", "app", "--expires", "2099-06-30")
    yaml = printed[printed.index("tenants:") : printed.index("or, where")]
    line = printed.strip().splitlines()[-1]
    (tmp_path / "a.yaml").write_text(BASE + yaml.replace("    keys:", "    models: [m]\n    keys:"))
    from_yaml = load(tmp_path, environ={})
    (tmp_path / "a.yaml").write_text(BASE + "tenants: {acme: {models: [m]}}")
    (tmp_path / "keys.jsonl").write_text(line)
    assert load(tmp_path, environ={}) == from_yaml
    assert from_yaml.tenants["acme"].keys["app"].digest == hashlib.sha256(secret.encode()).digest()
    assert from_yaml.tenants["acme"].keys["app"].expires_s is not None


def test_the_hash_line_does_not_hold_the_secret() -> None:
    printed, secret = new()
    assert printed.count(secret) == 1
    assert json.loads(printed.strip().splitlines()[-1]).keys() == {"tenant", "key", "hash"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "configuration (replace TENANT and KEY):"),
        (["--tenant", "acme"], "configuration (replace KEY):"),
        (["--tenant", "acme", "--key", "app"], "configuration:"),
    ],
)
def test_names_that_were_not_given_are_said_to_be_placeholders(arguments: list[str], said: str) -> None:
    assert said in new(*arguments)[0]


@pytest.mark.parametrize("arguments", [["--tenant", "a b"], ["--key", ""], ["--expires", "soon"], ["--tenant", "x\n"]])
def test_what_the_configuration_would_refuse_is_refused_before_a_secret_is_made(arguments: list[str]) -> None:
    said = CliRunner().invoke(main, ["keys", "new", *arguments])
    assert said.exit_code == 2
    assert "lg-" not in said.output
