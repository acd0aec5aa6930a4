"""What is wrong or doubtful about chains, told where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import review_chains
from gateway.config.load import load, load_with_places
from gateway.errors import ConfigError

GOOD = """
backends:
  b: {kind: vllm, endpoints: [{url: "http://a:1"}]}
  triton: {kind: v2, endpoints: [{url: "http://a:2"}]}
models:
  m: {backend: b, chain: strict}
  guard: {backend: b}
  t: {backend: triton}
tenants:
  acme:
    models: ["*"]
    chain: standard
    keys:
      app: {hash: "sha256:%s", chain: strict}
chains:
  standard:
    - {check: keywords, phase: [input, output], action: mask, words: [joe]}
    - {check: webhook, phase: input, action: block, target: review, code: review, deadline_ms: 500}
    - {check: model, phase: input, action: block, target: guard, code: unsafe}
  strict:
    - {check: keywords, phase: output, action: block, words: [bomb]}
webhooks:
  review: {url: "https://hooks.example.com/${TOKEN}", secret: "${SECRET}"}
""" % ("1" * 64)
ENVIRON = {"TOKEN": "t0ken", "SECRET": "s3cret"}


def problems(folder: Path, was: str, becomes: str) -> list[str]:
    assert was in GOOD
    (folder / "a.yaml").write_text(GOOD.replace(was, becomes, 1))
    with pytest.raises(ConfigError) as caught:
        load(folder, environ=ENVIRON)
    return str(caught.value).splitlines()


def doubts(folder: Path, text: str) -> list[str]:
    (folder / "a.yaml").write_text(text)
    found = load_with_places(folder, environ=ENVIRON)
    return [found.places.show(each) for each in review_chains.doubts(found.config)]


def test_good_chains_have_neither_problems_nor_doubts(tmp_path: Path) -> None:
    assert doubts(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ("chain: standard", "chain: standart", "a.yaml:12: tenants.acme.chain: there is no chain"),
        ("chain: standard", "chain: standart", "did you mean standard?"),
        ('11", chain: strict', '11", chain: strickt', "tenants.acme.keys.app.chain: there is no"),
        ("m: {backend: b, chain: strict}", "m: {backend: b, chain: s}", "a.yaml:6: models.m.chain: there is no chain"),
        ("t: {backend: triton}", "t: {backend: triton, chain: s}", "a.yaml:8: models.t.chain: there is no chain"),
        ("words: [joe]", "wrods: [joe]", "a.yaml:17: chains.standard[0].wrods: unknown here"),
        ("action: mask", "action: hide", "a.yaml:17: chains.standard[0].action: 'hide' is none of"),
        ("check: keywords", "check: keyword", "chains.standard[0].check: 'keyword' is none of"),
        (", words: [joe]", "", "a.yaml:17: chains.standard[0]: words is missing"),
        ("phase: [input, output]", "phase: {}", "chains.standard[0]: has no phase"),
        ("target: review", "target: revue", "a.yaml:18: chains.standard[1].target: there is no webhook"),
        ("target: guard", "target: gard", 'chains.standard[2].target: there is no model "gard"; did you mean guard?'),
        ("deadline_ms: 500", "deadline_ms: 0", "chains.standard[1]: a deadline of 0 ms is over before it begins"),
        (
            "action: mask, words: [joe]",
            "deadline_ms: 5, action: mask, words: [joe]",
            "[0].deadline_ms: nobody is asked",
        ),
        ('secret: "${SECRET}"', 'secret: "${OTHER}"', "webhooks.review.secret: the environment variable OTHER"),
        ('url: "https', 'url: "ftp', "webhooks.review.url: expected http://"),
        ("  strict:\n", "  strict: {}\n  other:\n", "chains.strict: expected a list of checks, got a map"),
        (
            "- {check: keywords, phase: output",
            "- text\n    - {check: keywords, phase: output",
            "expected a map: a check",
        ),
    ],
)
def test_a_mistake_is_told_at_its_place(tmp_path: Path, was: str, becomes: str, told: str) -> None:
    found = problems(tmp_path, was, becomes)
    assert told in found[0]
    assert len(found) == 1


def test_the_mistakes_of_all_entries_are_told_at_once(tmp_path: Path) -> None:
    wrong = "action: mask, words: [joe]}\n    - {check: pii, phase: input, action: mask, entities: [EMAIL]"
    found = problems(tmp_path, "action: mask, words: [joe]", wrong.replace("words: [joe]", "words: joe"))
    assert [line.split(": ")[1] for line in found] == ["chains.standard[0].words", "chains.standard[1].entities"]


UNASKED = 'other: {url: "https://a", secret: "${SECRET}"}'


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ("chain: standard", "chain: strict", "a.yaml:16: chains.standard: no tenant, key or model has this chain"),
        ("chain: standard", "chain: idle", "a.yaml:16: chains.idle: this chain is empty: it checks nothing"),
        ("webhooks:", f"webhooks:\n  {UNASKED}", "a.yaml:23: webhooks.other: no check asks this webhook"),
        ("https://hooks", "http://hooks", "webhooks.review.url: prompts and answers leave this machine unencrypted"),
        ('secret: "${SECRET}"', "secret: s3cret", "webhooks.review.secret: a secret in a file is archived"),
    ],
)
def test_a_doubt_is_told_at_its_place(tmp_path: Path, was: str, becomes: str, told: str) -> None:
    text = GOOD.replace(was, becomes, 1)
    if becomes.endswith("idle"):
        text = text.replace("chains:", "chains:\n  idle: []", 1)
    assert any(told in line for line in doubts(tmp_path, text))


def test_a_chain_on_a_model_that_is_asked_under_v2_is_as_any_other(tmp_path: Path) -> None:
    alone = GOOD.replace("chain: standard", "chain: strict", 1).replace(
        "t: {backend: triton}", "t: {backend: triton, chain: standard}"
    )
    onnx = "t: {kind: onnx, versions: {'1': ./a.onnx}, chain: standard}"
    for text in (alone, alone.replace("t: {backend: triton, chain: standard}", onnx)):
        assert doubts(tmp_path, text) == []
