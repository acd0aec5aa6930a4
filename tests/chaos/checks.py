"""What must hold after a run, each as a function of the evidence: its figures, and what is wrong. Pure.

Every check can fail: tests/unit/chaos/test_checks.py feeds each with the account of a broken meter.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from gateway.store.records import Record
from tests.chaos.evidence import (
    Evidence,
    admitted,
    bucket_of,
    cap_of,
    cut_s,
    settled_output,
    spent,
    unpaid_since_s,
    wasted_output,
)
from tests.chaos.plan import STEP_TOKENS, TOKENS_PER_S, Cap, Run
from tests.chaos.table_checks import kept_spans, stored
from tests.chaos.verdict import Verdict

NO_LIMIT = 2**62
DONE = {
    "kill keeper": "no keeper was killed while it wrote",
    "fill disk": "no pass of the keeper failed",
    "lose lake": "no file was kept back",
}
"""Faults that must have met the keeper at its work, and what to say of one that did not."""
LEAST_PER_S = 3.0
"""Answers for each second of a plan, on whatever machine."""


def overshoot(seen: Evidence) -> Verdict:
    """At no instant is more charged and held than a cap: in the authority, in the journals, and at the upstream."""
    verdict = Verdict({"overshoot": 0, "versions of buckets seen": len(seen.history)})
    over = Counter[str]()

    def told(cap: Cap, amount: int, where: str) -> None:
        if amount > cap.amount:
            over[cap.quantity] = max(over[cap.quantity], amount - cap.amount)
            verdict.fail(f"{where}: {amount} {cap.quantity} of {cap.amount}")

    buckets = set()
    for version in seen.history:
        cap = cap_of(seen.caps, version.key)
        if cap is None:
            verdict.fail(f"the authority has a bucket of no meter: {version.key}")
        else:
            buckets.add(version.key)
            told(cap, version.settled + version.held, f"authority, {version.key}")
    for cap in seen.caps:
        for where, amount in _from_records(cap, seen).items():
            told(cap, amount, where)
    if not buckets:
        verdict.fail("the authority's history is empty")
    verdict.figures["buckets"] = len(buckets)
    verdict.figures["overshoot"] = max(over.values(), default=0)
    return verdict


def _from_records(cap: Cap, seen: Evidence) -> dict[str, int]:
    """The most that a cap's buckets held, by bucket, as records or the upstream tell it."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in seen.records:
        bucket = bucket_of(cap, record) if admitted(record) else None
        if bucket is not None:
            groups[bucket].append(record)
    found: dict[str, int] = {}
    for bucket, records in groups.items():
        if cap.quantity == "concurrent":
            found[f"upstream, {bucket}"] = _most_at_once(seen, records)
        elif cap.seconds:
            found[f"journals, {bucket} in {cap.window}"] = _most_in_window(cap, records)
        else:
            sums = Counter[str]()
            for record in records:
                sums[_instance(cap.window, record.started_ns)] += spent(record, cap.quantity)
            found |= {f"journals, {bucket} {instance}": amount for instance, amount in sums.items()}
    return found


def _instance(window: str, wall_ns: int) -> str:
    day = datetime.fromtimestamp(wall_ns // 10**9, UTC)
    return {"day": f"{day:%Y-%m-%d}", "month": f"{day:%Y-%m}"}.get(window, "")


def _most_at_once(seen: Evidence, records: Sequence[Record]) -> int:
    changes = []
    for record in records:
        for entry in seen.produced.get(record.id, ()):
            changes += [(entry.began_s, 1), (entry.ended_s or float("inf"), -1)]
    most = now = 0
    for _, change in sorted(changes):  # an end comes before a beginning of the same instant
        now += change
        most = max(most, now)
    return most


def _most_in_window(cap: Cap, records: Sequence[Record]) -> int:
    def when(record: Record) -> int:
        ms = record.total_ms
        if cap.quantity == "requests" and record.attempts:  # spent when it was let in, tokens when they were settled
            ms = record.attempts[0].sent_ms
        return record.started_ns + round(ms * 1e6)

    # When a crashed one was let in, or settled, no record says: those are in the authority's history alone.
    spends = sorted((when(each), spent(each, cap.quantity)) for each in records if each.outcome != "crashed")
    most = now = first = 0
    for at, amount in spends:
        now += amount
        while spends[first][0] <= at - cap.seconds * 10**9:
            now -= spends[first][1]
            first += 1
        most = max(most, now)
    return most


def delivered(seen: Evidence) -> Verdict:
    """No caller got more tokens than were settled for its request."""
    records = {record.id: record for record in seen.records}
    verdict = Verdict({"tokens delivered": sum(call.delivered for call in seen.calls)})
    for call in seen.calls:
        record = records.get(call.id)
        if call.delivered and record is None:
            verdict.fail(f"{call.id or 'a request without id'} was answered and has no record")
        elif record is not None and call.delivered > settled_output(record):
            verdict.fail(f"{call.id}: {call.delivered} delivered, {settled_output(record)} settled ({record.outcome})")
    return verdict


def produced(seen: Evidence) -> Verdict:
    """Settled and wasted together are what the upstream produced, token by token; where nobody could know (the worker
    died, the usage was missing or absurd, an answer that is not streamed was left) never less, within the hold."""
    records = {record.id: record for record in seen.records}
    workers = {event.id: event.worker for event in seen.events}
    limits = {call.id: call.max_tokens for call in seen.calls if call.max_tokens is not None}
    verdict = Verdict()
    total = Counter[str]()
    for request_id, entries in seen.produced.items():
        record = records.get(request_id)
        made = sum(entry.output_tokens for entry in entries)
        total["produced"] += made
        if record is None:
            verdict.fail(f"{request_id} reached the upstream and has no record")
            continue
        settled = settled_output(record)
        wasted = wasted_output(record)
        total["settled"] += settled
        total["wasted"] += wasted
        gap = settled + wasted - made
        what = (
            f"{request_id} ({record.outcome}, usage from {record.usage_from or 'nowhere'}, {record.action or 'plain'})"
        )
        # What is beyond the hold of a caller that left is waste, and known as well.
        left = record.outcome == "cancelled" and record.usage_from == "running"
        exact = record.usage_from in ("backend", "running") and (left or "beyond" not in record.action)
        if any(entry.ended == "running" for entry in entries):
            verdict.fail(f"{what} still runs at the upstream")
        if record.outcome == "crashed":
            total["of killed workers"] += 1
            total["gap of killed workers"] += abs(gap)
            if gap < -STEP_TOKENS or settled > record.held_output:
                verdict.fail(f"{what}: {settled} settled, {made} produced, {record.held_output} held")
        elif exact:
            total["exact"] += 1
            if gap:
                verdict.fail(f"{what}: {settled} settled and {wasted} wasted, {made} produced")
        else:
            total["bounded"] += 1
            if gap < 0:
                verdict.fail(f"{what}: {settled} settled and {wasted} wasted, {made} produced")
        if "cut" in record.action.split():
            total["cut"] += 1
        if "cut" in record.action.split() and exact:  # of a bound the waste is one too
            at_s = cut_s(record) - seen.wall_ahead_s
            late = sum(entry.after(at_s) for entry in entries)
            # What was made while the worker stood in line for a CPU it could not have cut off sooner.
            waited_s = seen.waited_s(workers.get(request_id, ""), unpaid_since_s(entries, settled), at_s)
            by_then = record.waste_tokens - late
            could = by_then - math.ceil(waited_s * TOKENS_PER_S)
            total["most wasted at a cut"] = max(total["most wasted at a cut"], by_then)
            total["most wasted while it could cut"] = max(total["most wasted while it could cut"], could)
            total["most made after a cut"] = max(total["most made after a cut"], late)
            if could > STEP_TOKENS:
                verdict.fail(
                    f"{what}: {by_then} tokens wasted at a cut, more than a step of {STEP_TOKENS}, and its worker "
                    f"waited for a CPU for no more than {waited_s * 1e3:.0f} ms of that time"
                )
            if record.held_output >= limits.get(request_id, NO_LIMIT):
                verdict.fail(f"{what}: cut though all it could make was held")
    for request_id, record in records.items():
        if request_id not in seen.produced and settled_output(record) and record.usage_from in ("backend", "running"):
            verdict.fail(f"{request_id} was settled and never reached the upstream")
    verdict.figures |= {f"tokens {name}": total[name] for name in ("produced", "settled", "wasted")}
    verdict.figures |= {f"requests {name}": total[name] for name in ("exact", "bounded", "of killed workers", "cut")}
    verdict.figures["most tokens wasted at a cut"] = total["most wasted at a cut"]
    verdict.figures["most of them while its worker had a CPU"] = total["most wasted while it could cut"]
    verdict.figures["most until the upstream noticed"] = total["most made after a cut"]
    verdict.figures["tokens held by killed workers beyond produced"] = total["gap of killed workers"]
    return verdict


def released(seen: Evidence) -> Verdict:
    """When the gateway has ended nothing is held, and what is settled is the sum of the records."""
    verdict = Verdict({"holds left": 0})
    if not seen.final:
        verdict.fail("the authority is empty")
    for version in seen.final.values():
        if version.held:
            verdict.figures["holds left"] += 1
            verdict.fail(f"{version.key} still holds {version.held}")
    # Of all days, and months, together: which one it was is told by the clock, which jumps over midnight too.
    sums = Counter[str]()
    for cap in seen.caps:
        if cap.quantity == "concurrent" or cap.seconds:
            continue
        for record in seen.records:
            bucket = bucket_of(cap, record) if admitted(record) else None
            if bucket is not None:
                sums[f"{bucket}|{cap.quantity}|{cap.window}"] += spent(record, cap.quantity)
    settled = Counter[str]()
    for version in seen.final.values():
        where, quantity, window, _ = version.key.split("|")
        if quantity != "concurrent" and not window[:-1].isdigit():
            settled[f"{where}|{quantity}|{window.partition('@')[0]}"] += version.settled
    drift = 0
    for name in sorted(sums.keys() | settled.keys()):
        drift = max(drift, abs(settled[name] - sums[name]))
        if settled[name] != sums[name]:
            verdict.fail(f"{name} has {settled[name]} settled, its records say {sums[name]}")
    verdict.figures["drift"] = drift
    return verdict


def recorded(seen: Evidence) -> Verdict:
    """Every request that was admitted, asked or answered has exactly one record."""
    times = Counter(record.id for record in seen.records)
    verdict = Verdict({"records": len(seen.records), "calls": len(seen.calls)})
    for request_id, count in times.items():
        if count > 1:
            verdict.fail(f"{request_id} has {count} records")
    for call in seen.calls:
        # While the journal has no room nobody is let in, and who is told so cannot be recorded either.
        if call.id and call.id not in times and call.code != "store_unavailable":
            verdict.fail(f"{call.id} was answered with {call.status} {call.code} and has no record")
    for request_id in seen.produced:
        if request_id not in times:
            verdict.fail(f"{request_id} reached the upstream and has no record")
    if seen.damaged:
        verdict.fail(f"{seen.damaged} places in the journals cannot be read")
    outcomes = Counter(record.outcome for record in seen.records)
    verdict.figures |= {f"requests {outcome}": count for outcome, count in sorted(outcomes.items())}
    return verdict


def spendable(seen: Evidence) -> Verdict:
    """Of a budget that was used up, less is left than the cheapest request would hold."""
    verdict = Verdict({"budgets used up": len(seen.spent_out)})
    for key, cheapest in seen.spent_out.items():
        cap, version = cap_of(seen.caps, key), seen.final.get(key)
        if cap is None or version is None:
            verdict.fail(f"{key} was used up and is not in the authority")
            continue
        rest = cap.amount - version.settled
        verdict.figures["most left of one"] = max(verdict.figures.get("most left of one", 0), rest)
        if rest >= cheapest:
            verdict.fail(f"{key}: {rest} left, the cheapest request holds {cheapest}")
    return verdict


def exercised(run: Run, seen: Evidence) -> Verdict:
    """Whether a run did what its plan says: one in which little happened shows nothing."""
    outcomes = Counter(record.outcome for record in seen.records)
    verdict = Verdict({"callers": sum(group.callers for group in run.groups), "requests at once": _at_once(seen)})
    if outcomes["answered"] < LEAST_PER_S * run.seconds:
        verdict.fail(f"{outcomes['answered']} answers in {run.seconds:.0f} s are too few to show anything")
    if not outcomes["cancelled"] or not any(call.ended == "left" for call in seen.calls):
        verdict.fail("no caller left")
    if run.kills and not outcomes["crashed"]:
        verdict.fail("no worker died with a request")
    for what, missed in DONE.items():
        if any(fault.what == what for fault in run.faults) and not seen.done.get(what):
            verdict.fail(f"{what}: {missed}")
    verdict.figures |= seen.done
    return verdict


def _at_once(seen: Evidence) -> int:
    changes = [(call.began_s, 1) for call in seen.calls] + [(call.ended_s, -1) for call in seen.calls]
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


CHECKS: dict[str, Callable[[Evidence], Verdict]] = {
    "overshoot": overshoot,
    "delivered": delivered,
    "produced": produced,
    "released": released,
    "recorded": recorded,
    "spendable": spendable,
    "stored": stored,
    "spans": kept_spans,
}
