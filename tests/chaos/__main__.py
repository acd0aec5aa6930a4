"""`python -m tests.chaos`: runs the suite and prints its account; exit code 0 only if everything held."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos import suite
from tests.chaos.plan import Run
from tests.chaos.suite import STORES, Account
from tests.chaos.verdict import Verdict
from tests.support import store_servers

SECONDS = 55.0
"""Of load for each store."""


def main(arguments: list[str] | None = None) -> int:
    """0: every check of every run held, and none was skipped."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--store", action="append", choices=STORES, help="only this authority (repeat for more)")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help=f"of load for each store (default {SECONDS:.0f})"
    )
    parser.add_argument("--seed", type=int, default=None, help="of all chance in the load (default: by the clock)")
    parser.add_argument("--only", action="append", help="only runs of this name")
    parser.add_argument("--keep", type=Path, help="keep the files of the runs in this folder")
    args = parser.parse_args(arguments)
    seed = int(time.time()) % 100_000 if args.seed is None else args.seed
    accounts: list[Account] = []
    with tempfile.TemporaryDirectory(prefix="lockgate-chaos-", ignore_cleanup_errors=True) as folder:
        base = args.keep or Path(folder)
        for store in args.store or STORES:
            runs = suite.runs(store, args.seconds, seed)
            if store == "sqlite":
                runs.append(suite.one_worker(seed))
            for run in runs:
                if args.only and run.name not in args.only:
                    continue
                print(f"\n## {store}, {run.name} (seed {seed})", flush=True)
                accounts.append(_account(run, base / f"{store}-{run.name}"))
                _tell(accounts[-1])
    return _sum_up(accounts, seed)


def _account(run: Run, folder: Path) -> Account:
    if run.store != "sqlite" and (reason := store_servers.missing(run.store)):
        return Account(run, skipped=reason)
    try:
        return suite.perform(run, folder)
    except AssertionError as error:
        return Account(run, {"run": Verdict(wrong=[str(error)])})


def _tell(account: Account) -> None:
    if account.skipped:
        print(f"SKIPPED: {account.skipped}")
    for name, verdict in account.verdicts.items():
        figures = ", ".join(f"{what} {value:g}" for what, value in verdict.figures.items())
        print(f"{'FAIL' if verdict.wrong else 'ok':5}{name}: {figures}")
        for text in verdict.wrong:
            print(f"       {text}")
    print(f"     {account.seconds:.0f} s", flush=True)


def _sum_up(accounts: list[Account], seed: int) -> int:
    """The last lines: what a reader wants to know of all runs together."""

    def figures(check: str, name: str) -> list[float]:
        return [each.verdicts[check].figures.get(name, 0) for each in accounts if check in each.verdicts]

    def total(check: str, name: str) -> int:
        return round(sum(figures(check, name)))

    def most(check: str, name: str) -> int:
        return round(max(figures(check, name), default=0))

    failed = [each for each in accounts if each.wrong]
    skipped = [each for each in accounts if each.skipped]
    print(f"\n## all {len(accounts)} runs, seed {seed}")
    print(f"requests {total('recorded', 'records')}, of them crashed {total('recorded', 'requests crashed')}")
    print(f"tokens produced {total('produced', 'tokens produced')}, settled {total('produced', 'tokens settled')}")
    wasted = most("produced", "most tokens wasted at a cut")
    print(f"streams cut {total('produced', 'requests cut')}, most tokens wasted at one {wasted}")
    for account in accounts:
        if "false refusals" in account.verdicts and not account.run.faults:
            share = account.verdicts["false refusals"].figures.get("share falsely refused", 0)
            print(f"falsely refused, {account.run.store}, workers {account.run.workers}: {share:.3%}")
    killed = total("exercised", "kill keeper")
    print(
        f"records lost {total('stored', 'records lost')}, doubles {total('stored', 'doubles')}, keepers killed {killed}"
    )
    print(f"spans taken {total('spans', 'spans taken')}, lost {total('spans', 'spans lost')}")
    print(f"holds left {total('released', 'holds left')}, drift {most('released', 'drift')}")
    print(f"runs that failed {len(failed)}, skipped {len(skipped)}")
    print(f"overshoot {most('overshoot', 'overshoot')}")
    return 1 if failed or skipped or not accounts else 0


if __name__ == "__main__":
    sys.exit(main())
