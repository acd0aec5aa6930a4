"""What is wrong or doubtful about keeping what is said, told where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import review_content
from gateway.config.load import load_with_places
from gateway.errors import ConfigError

GOOD = """
backends:
  b: {kind: vllm, endpoints: [{url: "http://a:1"}]}
models:
  m: {backend: b}
tenants:
  acme:
    models: ["*"]
    chain: masks
    content: {record: masked, retention_days: 7, key: "${ACME_CONTENT_KEY}"}
    keys:
      app: {hash: "sha256:%s"}
  globex:
    models: ["*"]
    content: {record: full}
chains:
  masks:
    - {check: pii, phase: [input, output], action: mask, entities: [EMAIL_ADDRESS]}
  answers:
    - {check: pii, phase: output, action: mask, entities: [EMAIL_ADDRESS]}
  watches:
    - {check: pii, phase: input, action: mask, entities: [EMAIL_ADDRESS], mode: observe}
""" % ("1" * 64)
KEY = {"ACME_CONTENT_KEY": "k" * 32}


def problems(folder: Path, was: str = "", becomes: str = "") -> list[str]:
    assert was in GOOD
    (folder / "gateway.yaml").write_text(GOOD.replace(was, becomes, 1) if was else GOOD)
    try:
        load_with_places(folder, environ=KEY)
    except ConfigError as error:
        return str(error).splitlines()
    return []


def test_a_policy_that_can_be_kept_is_no_problem(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ("    chain: masks\n", "", "tenants.acme.content.record: masked, but this tenant has no chain of what callers"),
        ("chain: masks", "chain: answers", 'the chain "answers" masks nothing of what callers say'),
        ("chain: masks", "chain: watches", 'the chain "watches" masks nothing of what callers say'),
        ('app: {hash: "', 'app: {chain: answers, hash: "', 'tenants.acme.keys.app.chain: the chain "answers" masks'),
        (
            '"${ACME_CONTENT_KEY}"',
            "a-key-in-a-file-is-no-key-at-all-said-he",
            "tenants.acme.content.key: write ${NAME}",
        ),
        ("retention_days: 7", "retention_days: 0", "tenants.acme.content.retention_days"),
        ("record: full", "record: some", "tenants.globex.content.record"),
    ],
)
def test_a_contradiction_is_told_where_it_stands(tmp_path: Path, was: str, becomes: str, told: str) -> None:
    found = problems(tmp_path, was, becomes)
    assert len(found) == 1
    assert told in found[0]


def test_a_chain_of_the_key_is_enough_where_every_key_has_one(tmp_path: Path) -> None:
    text = GOOD.replace("    chain: masks\n", "").replace('app: {hash: "', 'app: {chain: masks, hash: "')
    (tmp_path / "gateway.yaml").write_text(text)
    load_with_places(tmp_path, environ=KEY)


def test_what_is_kept_needs_the_package_that_encrypts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review_content, "find_spec", lambda _: None)
    assert all("pip install 'lockgate[content]'" in line for line in problems(tmp_path))
    assert len(problems(tmp_path)) == 2


@pytest.mark.parametrize(("value", "told"), [("", "is empty"), ("short", "fewer than 32 characters")])
def test_a_key_that_is_not_there_is_a_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, told: str
) -> None:
    (tmp_path / "gateway.yaml").write_text(GOOD)
    config = load_with_places(tmp_path, environ=KEY)[0]
    monkeypatch.setenv("ACME_CONTENT_KEY", value)
    (doubt,) = review_content.doubts(config)
    assert doubt.path == ("tenants", "acme", "content", "key")
    assert told in doubt.message
    monkeypatch.setenv("ACME_CONTENT_KEY", "k" * 32)
    assert list(review_content.doubts(config)) == []
