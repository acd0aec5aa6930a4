"""The results as a table. `python -m tests.bench.table` writes it between the markers in the READMEs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from tests.bench.report import LATEST, ROOT
from tests.bench.rows import ROWS

BEGIN = "<!-- bench:begin (python -m tests.bench.table writes this) -->"
END = "<!-- bench:end -->"
FILES = (ROOT / "README.md", ROOT / "tests" / "bench" / "README.md")


def render(results: Mapping[str, Any]) -> str:
    """A Markdown table of all rows, and a line that says where the numbers come from."""
    lines = ["| | measured | must reach | |", "|---|---:|---:|---|"]
    for row in ROWS:
        entry = results["rows"][row.key]
        value = "–" if entry["value"] is None else f"{entry['value']:g} {entry['unit']}".strip()
        verdict = entry["status"] + (f": {entry['reason']}" if entry.get("reason") else "")
        lines.append(f"| {row.what} | {value} | {row.bar_text} | {verdict} |")
    machine, commit, versions = results["machine"], results["commit"], results["versions"]
    changed = " with local changes" if commit["dirty"] else ""
    lines += [
        "",
        f"{results['date'][:10]}, commit {commit['id'][:10]}{changed}, {machine['cpu']}, {machine['cores']} cores,",
    ]
    lines += [
        f"kernel {machine['kernel']}, Python {versions['python']}, nginx {versions['nginx']}. CPU counts the whole"
    ]
    lines += ["process tree (supervisor and worker), with everything of the gateway on."]
    return "\n".join(lines)


def place(text: str, table: str) -> str:
    """`text` with what stands between the markers replaced. Raises ValueError without exactly one pair of markers."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"no single pair of markers {BEGIN} … {END}")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main() -> int:
    """0 when every README is written."""
    table = render(json.loads(LATEST.read_text()))
    for path in FILES:
        try:
            path.write_text(place(path.read_text(), table))
        except (OSError, ValueError) as problem:
            print(f"{path.relative_to(ROOT)}: {problem}", file=sys.stderr)
            return 1
        print(f"{path.relative_to(ROOT)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
