"""The runs of the suite, and the doing of one: load, faults, the end, the account."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import msgspec

from tests.chaos import gather, oracle
from tests.chaos.agents import Agents
from tests.chaos.checks import CHECKS, exercised
from tests.chaos.deployment import Deployment, cannot, deployed
from tests.chaos.evidence import Evidence
from tests.chaos.load import Call, LoadPlan
from tests.chaos.plan import INPUT_NANOS, JUMP_S, OUTPUT_NANOS, Cap, Fault, Group, Run
from tests.chaos.stalls import Stalls
from tests.chaos.verdict import Verdict
from tests.support.gateway_process import ROOT, until

Store = Literal["sqlite", "redis", "postgres"]
STORES: tuple[Store, ...] = ("sqlite", "redis", "postgres")
SETTLED_S = 30.0
"""How long the leases of dead workers may take to be settled, once all is well again."""
ENDS_S = 120.0
"""The last requests of the load end within that, on a machine that does much else."""
FALSE_SHARE = 0.01
SLOWER_PER_SECOND = 120.0
"""Where the clock jumps: what moves it makes each reading of it many times dearer."""

KEYS = 24
GROUPS = (
    Group("bulk", 700, keys=4),
    Group("pennies", 300, fresh_users=True),
    Group("common", 300, keys=KEYS, in_turn=True),
    Group("tokens", 250, keys=KEYS, in_turn=True),
    Group("slots", 250, keys=2, cancels=0.3),
    Group("rates", 200, keys=2),
)
CAPS = (
    Cap("gateway", "", "usd", 1_000_000_000_000, "lifetime"),
    Cap("gateway", "", "concurrent", 1_500, ""),
    Cap("tenant", "bulk", "usd", 100_000_000_000, "month"),
    Cap("tenant", "bulk", "output_tokens", 50_000_000, "day"),
    Cap("key", "bulk/key-0", "requests", 100_000, "3600s"),
    Cap("tenant", "pennies", "usd", 300_000, "lifetime", "end_user"),
    Cap("tenant", "pennies", "usd", 20_000_000_000, "lifetime"),
    *(Cap("key", f"common/key-{number}", "usd", 6_000_000, "lifetime") for number in range(KEYS)),
    *(Cap("key", f"tokens/key-{number}", "output_tokens", 6_000, "lifetime") for number in range(KEYS)),
    *(Cap("key", f"tokens/key-{number}", "input_tokens", 60_000, "lifetime") for number in range(KEYS)),
    Cap("tenant", "slots", "concurrent", 50, ""),
    Cap("key", "slots/key-0", "concurrent", 20, ""),
    Cap("tenant", "rates", "requests", 150, "10s"),
    Cap("key", "rates/key-0", "output_tokens", 4_000, "15s"),
    Cap("model", "mini", "output_tokens", 100_000_000, "month"),
)
SPEND_OUT = ("common/key-0",)


@dataclass
class Account:
    """A run and what the checks made of it; `skipped` says why it was not made."""

    run: Run
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    seconds: float = 0.0
    skipped: str = ""

    @property
    def wrong(self) -> list[str]:
        return [f"{name}: {text}" for name, verdict in self.verdicts.items() for text in verdict.wrong]


def runs(store: Store, seconds: float, seed: int) -> list[Run]:
    """The runs of one store, which take about `seconds` of load together: all well; all that can go wrong with
    processes; all that can with clock and disk."""
    calm = Run("calm", store, seconds * 0.2, GROUPS, CAPS, seed=seed, spends_the_rest=SPEND_OUT)
    part = seconds * 0.4
    processes = [
        Fault(part * 0.05, "kill keeper", part * 0.3),  # again and again
        Fault(part * 0.10, "kill worker"),
        Fault(part * 0.20, "freeze authority", 3.0),
        Fault(part * 0.25, "kill worker"),  # two at once
        Fault(part * 0.40, "kill authority", 1.5),
        Fault(part * 0.55, "restart gateway"),
        Fault(part * 0.72, "kill gateway", 0.5),
        Fault(part * 0.76, "kill keeper", part * 0.1),
        Fault(part * 0.88, "kill authority", 1.0),
        Fault(part * 0.89, "kill worker"),  # two at once
    ]
    clock_and_disk = [
        Fault(part * 0.10, "jump clock", 4.0, JUMP_S),
        Fault(part * 0.28, "jump clock", 4.0, -JUMP_S),
        Fault(part * 0.46, "fill disk", 3.0),
        Fault(part * 0.62, "lose lake", 3.0, JUMP_S),  # the clock ahead meanwhile
        Fault(part * 0.66, "kill worker"),  # two at once
        Fault(part * 0.82, "crowd disk", 3.0),
        Fault(part * 0.85, "freeze authority", 2.0),  # two at once
    ]
    return [
        calm,
        replace(calm, name="processes die", seconds=part, faults=processes, spends_the_rest=()),
        replace(
            calm,
            name="clock and disk",
            seconds=part,
            faults=clock_and_disk,
            spends_the_rest=(),
            per_second=SLOWER_PER_SECOND,
        ),
    ]


def one_worker(seed: int) -> Run:
    """A short run with one worker: its oracle must find no false refusal at all."""
    groups = [replace_group(group, group.callers // 4) for group in GROUPS]
    return Run("one worker", "sqlite", 8, groups, CAPS, workers=1, per_second=120, seed=seed)


def short(seed: int) -> Run:
    """Small enough for a test: kills and a frozen authority."""
    groups = [replace_group(group, group.callers // 8) for group in GROUPS]
    faults = [
        Fault(1.0, "kill keeper", 2.0),
        Fault(2.0, "kill worker"),
        Fault(4.0, "freeze authority", 1.0),
        Fault(4.5, "kill worker"),
    ]
    return Run(
        "short", "sqlite", 9, groups, CAPS, faults, workers=2, per_second=80, seed=seed, spends_the_rest=SPEND_OUT
    )


def replace_group(group: Group, callers: int) -> Group:
    return msgspec.structs.replace(group, callers=callers)


def perform(run: Run, folder: Path) -> Account:
    """Does a run to its end, and judges it."""
    account = Account(run)
    began = time.monotonic()
    reasons = {cannot(fault.what) for fault in run.faults} - {""}
    if reasons:
        account.skipped = "; ".join(sorted(reasons))
        return account
    with deployed(run, folder) as here:
        gather.watch(here)
        agents = Agents(here.port, list(run.groups), here.began_s)
        stalls = Stalls(here.workers)
        stalls.start()
        agents.start()
        try:
            calls = _under_load(here, folder)
        finally:
            stalls.stop()
            agents.stop()
        spent_out = {name: _spend_out(here, name) for name in run.spends_the_rest}
        _settle(here)
        ended = here.stop_gateway()
        seen = gather.gather(here, calls, agents.batches)
        seen.waited_s = stalls.waited_s
        seen.spent_out = {_bucket(seen, name): cheapest for name, cheapest in spent_out.items()}
    account.verdicts = {name: check(seen) for name, check in CHECKS.items()}
    account.verdicts["false refusals"] = false_refusals(run, seen)
    account.verdicts["exercised"] = exercised(run, seen)
    if ended != 0:
        account.verdicts["released"].fail(f"the gateway ended with {ended}")
    account.seconds = time.monotonic() - began
    return account


def false_refusals(run: Run, seen: Evidence) -> Verdict:
    """Judged where nothing went wrong: then there is nothing else to blame."""
    if run.faults:
        return Verdict()
    judged = oracle.judge(seen.events, seen.caps)
    verdict = Verdict({"decisions": judged.decisions, "refusals": judged.refusals, "false refusals": len(judged.false)})
    verdict.figures["share falsely refused"] = round(judged.share, 5)
    if judged.share > (0 if run.workers == 1 else FALSE_SHARE):
        for text in judged.false:
            verdict.fail(text)
    if not judged.decisions:
        verdict.fail("nothing was decided")
    return verdict


def _under_load(here: Deployment, folder: Path) -> list[Call]:
    run = here.run
    out, told = folder / "calls", folder / "load.json"
    told.write_bytes(msgspec.json.encode(LoadPlan(here.port, list(run.groups), run.per_second, run.seed, str(out))))
    failed: list[str] = []
    command = [sys.executable, "-m", "tests.chaos.load", str(told)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as load:
        assert load.stdout is not None
        load.stdout.readline()
        here.load_begins()
        threads = [threading.Thread(target=_later, args=(here, fault, failed), daemon=True) for fault in run.faults]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        here.until_s(run.seconds)
        load.terminate()
        if load.wait(ENDS_S) != 0:
            failed.append("the load ended with an error")
    if failed:
        raise AssertionError("; ".join(failed))
    return msgspec.msgpack.decode(out.read_bytes(), type=list[Call])


def _later(here: Deployment, fault: Fault, failed: list[str]) -> None:
    here.until_s(fault.at_s)
    try:
        here.do(fault)
    except (AssertionError, OSError, sqlite3.Error, subprocess.SubprocessError) as error:  # told by who waits
        failed.append(f"{fault.what}: {error!r}")


def _spend_out(here: Deployment, name: str) -> int:
    """Spends what is left of a key's budget with ever smaller requests; what the smallest would have held."""
    tenant, _, key = name.partition("/key-")
    body_bytes = unavailable = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for padding in (60_000, 6_000, 600, 0):
            refused = 0
            while refused < 2:
                # At last one after the other: what another one holds at that moment is no rest.
                texts = ["quick" + " " * padding] * (AT_ONCE if padding else 1)
                answers = list(pool.map(lambda text: here.ask(tenant, int(key), text), texts))
                body_bytes = len(answers[0].request.content)
                statuses = {answer.status_code for answer in answers}
                if not statuses <= {200, 429, 503}:
                    raise AssertionError(f"{name}: {statuses}")
                refused = refused + 1 if statuses == {429} else 0
                unavailable += 503 in statuses  # on a busy machine an authority may be too late
                if unavailable > PATIENT:
                    raise AssertionError(f"{name}: 503 again and again, and nothing fails here")
    return (body_bytes + BOUND_OVER_BODY) * INPUT_NANOS + OUTPUT_NANOS


PATIENT = 20
AT_ONCE = 6
"""Requests that spend a rest at the same time."""
BOUND_OVER_BODY = 128
"""What `policy.bounds` adds to a body's bytes for a chat template."""


def _bucket(seen: Evidence, name: str) -> str:
    found = [key for key in seen.final if key.startswith(f"key:{name}|usd|")]
    return found[0] if found else f"key:{name}|usd|lifetime|"


def _settle(here: Deployment) -> None:
    """Waits until nothing runs and no dead worker's lease is left."""
    until(lambda: not gather.dead_leases(here), "the leases of dead workers are settled", SETTLED_S)
