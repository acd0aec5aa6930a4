"""What a check of a run found."""

from __future__ import annotations

from dataclasses import dataclass, field

SHOWN = 5


@dataclass
class Verdict:
    """`figures` to be printed, `wrong` sentences; none when it holds."""

    figures: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def fail(self, text: str) -> None:
        if len(self.wrong) < SHOWN:
            self.wrong.append(text)
        elif len(self.wrong) == SHOWN:
            self.wrong.append("… and more")
