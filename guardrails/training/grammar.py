"""Texts made of templates: `{name}` takes one line of the slot `@name`, `{a|b}` one of its parts, nested as needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Grammar:
    """A file of templates: its slots, and its templates by section (`train`, `held`)."""

    slots: dict[str, list[str]] = field(default_factory=dict)
    sections: dict[str, list[str]] = field(default_factory=dict)

    def expand(self, template: str, random: np.random.Generator) -> str:
        """One text of a template. The text of a slot is expanded in its turn."""
        while True:
            start = _innermost(template)
            if start is None:
                return template.replace("\\n", "\n").replace("\x01", "{").replace("\x02", "}")
            end = template.index("}", start)
            inner = template[start + 1 : end]
            options: Sequence[str] = inner.split("|") if "|" in inner else self.slots.get(inner, ())
            # Braces that are no slot belong to the text: a JSON result has many.
            chosen = options[int(random.integers(len(options)))] if options else f"\x01{inner}\x02"
            template = template[:start] + chosen + template[end + 1 :]

    def sample(self, section: str, count: int, random: np.random.Generator) -> list[tuple[str, str]]:
        """`count` pairs of template and text, the templates in turn."""
        templates = self.sections[section]
        return [(t, self.expand(t, random)) for i in range(count) for t in [templates[i % len(templates)]]]


def parse(text: str) -> Grammar:
    """A grammar from a file: `@slot` and `== section` open a list of lines, `#` and a space begin a remark."""
    grammar = Grammar()
    lines: list[str] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("# "):
            continue
        if line.startswith("@") and " " not in line:
            lines = grammar.slots.setdefault(line[1:], [])
        elif line.startswith("== "):
            lines = grammar.sections.setdefault(line[3:], [])
        else:
            lines.append(line)
    return grammar


def _innermost(template: str) -> int | None:
    """Where the last brace that holds no other opens."""
    end = template.find("}")
    start = template.rfind("{", 0, end) if end >= 0 else -1
    return start if start >= 0 else None
