"""All checks there are. Adding one is a file in `checks/` and a line here."""

from __future__ import annotations

from typing import Final

CHECKS: Final = {
    "injection": "guardrails.checks.asked:injection",
    "keywords": "guardrails.checks.words:keywords",
    "length": "guardrails.checks.length:LengthCheck",
    "model": "guardrails.checks.asked:model",
    "pii": "guardrails.checks.pii:pii",
    "regex": "guardrails.checks.words:regex",
    "secrets": "guardrails.checks.secrets:secrets",
    "tools": "guardrails.checks.tools:ToolPolicy",
    "toxicity": "guardrails.checks.asked:toxicity",
    "webhook": "guardrails.checks.asked:webhook",
}
"""By the name a chain calls it: what makes it, from its settings. Imported when a chain uses it."""
