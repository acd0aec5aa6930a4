"""`python -m tests.bench [--only ROW …] [--quick] [--output FILE] [--strict]`: measures and writes the results."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tests.bench import report, yardstick
from tests.bench.lab import BUILD, Effort, Lab, open_lab
from tests.bench.measures import PARTS, Part
from tests.bench.processes import BenchError, Missing
from tests.bench.rows import KEYS, ROWS, Measured, judge, rounded


def main(arguments: list[str] | None = None) -> int:
    """0 when it ran; with --strict 1 when a row that was measured missed its bar."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="What Lockgate costs (README.md here).")
    parser.add_argument("--only", nargs="+", metavar="ROW", choices=KEYS, help="measure these rows: " + ", ".join(KEYS))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, for a rough look")
    parser.add_argument(
        "--output",
        type=Path,
        help="where to write (default: results/latest.json for a full run, else build/partial.json)",
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a row misses its bar")
    args = parser.parse_args(arguments)
    partial = bool(args.only or args.quick)
    output = args.output or (BUILD / "partial.json" if partial else report.LATEST)
    surroundings = report.surroundings(quick=args.quick)
    parts = [part for part in PARTS if not args.only or set(part.keys) & set(args.only)]
    found = measure(parts, Effort.quick() if args.quick else Effort())
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(report.compose(found, surroundings), indent=1, ensure_ascii=False) + "\n")
    print(f"written to {output}")
    missed = any(judge(row, found[row.key]) == "fail" for row in ROWS if row.key in found)
    return 1 if args.strict and missed else 0


def measure(parts: list[Part], effort: Effort) -> dict[str, Measured]:
    """All rows of `parts`; what cannot be measured is skipped with its reason, and the rest goes on."""
    found: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory(prefix="lockgate-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # a server that drops its privileges must find its files
        try:
            with open_lab(folder, effort) as lab:
                for part in parts:
                    found |= _measure_part(lab, part)
        except BenchError as problem:  # nothing at all can be measured
            found = {key: unmeasured(problem) for part in parts for key in part.keys}
            _show(found)
    return found


def unmeasured(problem: BenchError) -> Measured:
    """What is not installed is skipped; a server that fails or a load with errors is a failure."""
    return Measured(None, reason=str(problem), broken=not isinstance(problem, Missing))


def _measure_part(lab: Lab, part: Part) -> dict[str, Measured]:
    before_us = yardstick.json_loads_us()
    try:
        results = dict(part.measure(lab))
    except BenchError as problem:
        results = {key: unmeasured(problem) for key in part.keys}
    speed = {"json_loads_us_before_and_after": [before_us, yardstick.json_loads_us()]}
    results = {key: replace(measured, raw={**measured.raw, **speed}) for key, measured in results.items()}
    _show(results)
    return results


def _show(results: Mapping[str, Measured]) -> None:
    for row in ROWS:
        if row.key in results:
            measured = results[row.key]
            value = "–" if measured.value is None else f"{rounded(measured.value):g}"
            print(f"{row.key:26} {value:>10}   {row.bar_text:12} {judge(row, measured)}  {measured.reason}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
