"""`python -m tests.bench.profile unary|stream|images [--seconds S]`: where the worker's CPU time goes.

Runs the gateway as the bench does, under that kind of load, and lets py-spy sample the worker. Prints the functions by
their own samples and writes all stacks, one a line with its count (what flame-graph tools read), into build/.
Needs `py-spy` on the path (it is not a dependency) and the right to trace processes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.bench import lockgate
from tests.bench.lab import BUILD, Effort, open_lab, pin_to_load_core
from tests.bench.lockgate import Size
from tests.bench.measures import cpu
from tests.bench.processes import BenchError

KINDS = {"unary": cpu.unary_load, "stream": cpu.stream_load, "images": cpu.images_load}
SHOWN = 40
FOREVER = 100_000_000


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.profile", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--native", action="store_true", help="also the C functions (slower)")
    args = parser.parse_args()
    try:
        stacks = record(args.kind, args.seconds, native=args.native)
    except (BenchError, FileNotFoundError) as problem:
        print(f"cannot profile: {problem}", file=sys.stderr)
        return 1
    show(stacks)
    return 0


def record(kind: str, seconds: int, *, native: bool) -> Path:
    """Raises FileNotFoundError without py-spy."""
    stacks = BUILD / f"profile-{kind}.txt"
    with tempfile.TemporaryDirectory(prefix="lockgate-bench-") as folder, open_lab(Path(folder), Effort()) as lab:
        if kind == "stream":
            lab.set_upstream(chunk_us=cpu.CHUNK_US, chunks=cpu.STREAM_CHUNKS)
        with lockgate.serving(lab, lockgate.write_config(lab, Size())) as gateway:
            endless = replace(KINDS[kind](lab, gateway.target), requests=FOREVER, max_seconds=seconds + 5)
            load = subprocess.Popen(
                lab.command(gateway.target, endless), stdout=subprocess.DEVNULL, preexec_fn=pin_to_load_core
            )
            command = [
                "py-spy",
                "record",
                "--pid",
                str(gateway.workers[0]),
                "--duration",
                str(seconds),
                "--rate",
                "500",
            ]
            command += ["--format", "raw", "--output", str(stacks), *(["--native"] if native else [])]
            try:
                subprocess.run(command, check=True, capture_output=True)
            except subprocess.CalledProcessError as problem:
                raise BenchError(f"py-spy: {problem.stderr.decode(errors='replace')[-300:]}") from None
            finally:
                load.terminate()
                load.wait()
    return stacks


def show(stacks: Path) -> None:
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        own[frames[-1]] += int(count)
        for frame in set(frames):
            within[frame] += int(count)
    total = sum(own.values()) or 1
    print(f"{'own':>6} {'within':>7}   ({total} samples; all stacks in {stacks})")
    for frame, samples in own.most_common(SHOWN):
        print(f"{samples / total:6.1%} {within[frame] / total:7.1%}   {frame}")


if __name__ == "__main__":
    sys.exit(main())
