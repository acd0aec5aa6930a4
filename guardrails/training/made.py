"""The texts this project wrote itself: attacks, hidden instructions, and ordinary texts with the words of attacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from guardrails.training.grammar import Grammar
from guardrails.training.sources import Text


def made(grammars: dict[str, Grammar], split: str, per_template: int, seed: int) -> list[Text]:
    """All kinds, of the templates of one split (`train` or `held`), `per_template` of each template."""
    random = np.random.default_rng(seed)
    texts: list[Text] = []
    for name, label, kind in (("benign", 0, "trigger"), ("system_like", 0, "trigger"), ("attacks", 1, "direct")):
        grammar = grammars[name]
        count = per_template * len(grammar.sections[split])
        for template, text in grammar.sample(split, count, random):
            texts.append(Text(_varied(text, random), label, f"made-{name}", kind, f"{name}:{template}"))
    texts.extend(_hidden(grammars["hidden"], split, per_template, random))
    return texts


def claims(grammars: dict[str, Grammar], per_template: int, seed: int) -> list[Text]:
    """Statements about groups of people, hostile and fair, and comments, rude and casual, for the toxicity
    classifier.
    """
    random = np.random.default_rng(seed)
    grammar = grammars["claims"]
    return [
        Text(text, label, source, "claim", f"claims:{template}")
        for section, label, source in (
            ("hostile", 1, "made-claims"),
            ("fair", 0, "made-claims"),
            ("rude", 1, "made-comments"),
            ("casual", 0, "made-comments"),
        )
        for template, text in grammar.sample(section, per_template * len(grammar.sections[section]), random)
    ]


def _hidden(grammar: Grammar, split: str, per_template: int, random: np.random.Generator) -> Iterator[Text]:
    """Each payload in carriers, and as many carriers that are clean."""
    carriers = grammar.sections[f"carrier {split}"]
    payloads = grammar.sections[f"payload {split}"]
    for i in range(2 * per_template * len(payloads)):
        payload = payloads[i % len(payloads)]
        carrier = carriers[int(random.integers(len(carriers)))]
        for label, content in ((1, payload), (0, "{filler}")):
            text = grammar.expand(carrier.replace("{payload}", content), random)
            kind = "hidden" if label else "document"
            yield Text(text, label, f"made-{kind}", kind, f"hidden:{payload if label else carrier}")


def _varied(text: str, random: np.random.Generator) -> str:
    """The same text as people type it."""
    ways: tuple[Callable[[str], str], ...] = (str, str, str, str.lower, str.upper, _without_end)
    return ways[int(random.integers(len(ways)))](text)


def _without_end(text: str) -> str:
    return text.rstrip(".!?")
