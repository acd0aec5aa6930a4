"""`python -m tests.contract.table [KIND…]`: the clients' cases, straight to each server and through the gateway, as a
table.

Says for each case whether both ways agree, and what differs where they do not; exit code 1 if any differs.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.contract.cases import CASES, OWN
from tests.contract.compare import disagreements
from tests.contract.upstreams import KINDS, Servers


def cell(direct: Any, through: Any) -> str:
    """What one case came to, in a few words."""
    lines = disagreements(direct, through)
    if lines:
        return "DIFFERS " + "; ".join(lines)
    if isinstance(direct, dict) and "raised" in direct:
        return f"same {direct['status']}" if direct == through else f"{direct['status']}, as {through['status']}"
    return "same"


def rows(servers: Servers, kinds: Sequence[str]) -> list[list[str]]:
    """One row for each case that some server takes part in: its name, then a cell for each kind."""
    found = []
    for case, (offers, _) in CASES.items():
        if offers != OWN and any(offers in KINDS[kind].offers for kind in kinds):
            found.append([case, *(_cell(servers, kind, case) for kind in kinds)])
    return found


def _cell(servers: Servers, kind: str, case: str) -> str:
    if CASES[case][0] not in KINDS[kind].offers:
        return ""
    return cell(servers.result(kind, case, through=False), servers.result(kind, case, through=True))


def main(kinds: Sequence[str]) -> int:
    """Prints the table; 1 if anything differs."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        servers = Servers(stack, Path(folder))
        for kind in kinds:
            servers.begin(kind)
        table = rows(servers, kinds)
    for row in [["case", *kinds], ["---"] * (1 + len(kinds)), *table]:
        print("| " + " | ".join(text.replace("|", "\\|") for text in row) + " |")
    different = sum(text.startswith("DIFFERS") for row in table for text in row)
    compared = sum(bool(text) for row in table for text in row[1:])
    print(f"\n{compared} answers compared, {different} different")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(KINDS)))
