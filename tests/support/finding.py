"""What a check that asks nothing finds in a text, as the test wants to compare it."""

from __future__ import annotations

from guardrails.check import Check
from guardrails.verdict import Finding


def found(check: Check, text: str) -> list[tuple[str, str]]:
    """Code and part of the text for each finding, in the order of the text."""
    watch = check.watch()
    steps = watch.feed(text) + watch.finish()
    findings = sorted((step for step in steps if isinstance(step, Finding)), key=lambda each: (each.start, each.end))
    return [(each.code, text[each.start : each.end]) for each in findings]
