"""What the ledger says was spent of each bucket: what a store of meters that may have lost something is raised to.

Over all that was ever recorded, in groups that fall into one bucket and one slot: of the last hour each second, before
that each quarter of an hour (in which no day begins, wherever), and what is older than any window is one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from gateway.config.snapshot_meters import CONCURRENT, Meter
from gateway.policy import windows
from gateway.policy.authority import Spends
from gateway.policy.meters import DOWNGRADED, FELL_BACK
from gateway.store import duck, ledger_rows, manifest
from gateway.store.settling import Directories

SECOND_NS: Final = 10**9
QUARTER_S: Final = 900
OLD_S: Final = 32 * 86_400
"""No window that ends is longer."""
RECENT_S: Final = 3_600

_LED_TO: Final = f"(?:^| )((?:{DOWNGRADED}|{FELL_BACK})[^ ]+)"
"""As `policy.meters.led_to`."""
_MEMORY: Final = "512MB"
_WHO: Final = ("tenant", "key", "project", "model", "end_user", "conversation", "led_to", "quarter")


class _Asker(msgspec.Struct, frozen=True, gc=False):
    """What `policy.meters` reads of a record, for all records of a group."""

    tenant: str
    key: str
    project: str
    alias: str
    end_user: str
    conversation: str
    action: str
    started_ns: int


def spent(
    state_dir: Path, state_id: str, live: Collection[str], directories: Directories, now_ns: int
) -> dict[str, Mapping[str, Spends]]:
    """By bucket whose window is not over, and by owner: that of each of the `live` journals, and STATE_ID for all that
    are gone. Needs the ledger to be up to date. Raises LedgerUnreadable, OSError."""
    sums: dict[str, dict[str, list[tuple[int, int]]]] = {}
    known: dict[_Asker, list[tuple[str, Meter]]] = {}
    snapshot = ""
    for digest, journal, asker, at_s, amounts in _groups(state_dir, now_ns // SECOND_NS):
        if digest != snapshot:
            snapshot = digest
            known.clear()
        buckets = known.get(asker)
        if buckets is None:
            directory = directories(digest)
            found = [] if directory is None else directory.keys_of(asker)
            buckets = known[asker] = [(key, meter) for key, meter in found if _counts(key, meter, now_ns)]
        whose = f"{state_id}:{journal}" if journal in live else state_id
        for key, meter in buckets:
            if amount := amounts[meter.quantity]:
                slot = windows.slot(meter.window, at_s * SECOND_NS) if meter.window.slot_s else 0
                sums.setdefault(key, {}).setdefault(whose, []).append((slot, amount))
    return {key: dict(by) for key, by in sums.items()}


def _counts(key: str, meter: Meter, now_ns: int) -> bool:
    return meter.quantity != CONCURRENT and key.rpartition("|")[2] == windows.instance(meter.window, now_ns)


def _groups(state_dir: Path, now_s: int) -> Iterator[tuple[str, str, _Asker, int, tuple[int, int, int, int, int]]]:
    """Digest, journal, whose, when it was spent (the end of that time), amounts by quantity; by digest."""
    files = manifest.read(state_dir).files
    if not files:
        return
    ledger = manifest.folder(state_dir)
    query = _query(ledger_rows.from_parquet([str(ledger / file.name) for file in files]), now_s)
    with duck.connection(ledger, threads=1, memory=_MEMORY) as database:
        found = database.execute(query)
        while rows := found.fetchmany(10_000):
            for digest, journal, at_s, requests, given, made, nanos, *who in rows:
                tenant, key, project, alias, end_user, conversation, led_to, quarter = who
                began_ns = quarter * QUARTER_S * SECOND_NS
                asker = _Asker(tenant, key, project, alias, end_user, conversation, led_to, began_ns)
                yield digest, journal, asker, at_s, (requests, given, made, 0, nanos)


def _plus(one: str, other: str) -> str:
    return f"coalesce({one}, 0) + coalesce({other}, 0)"


def _query(source: str, now_s: int) -> str:
    begun, ended = "epoch_us(started) // 1000000", "(epoch_us(started) + (total_ms * 1000)::BIGINT) // 1000000"
    old, recent = now_s - OLD_S, now_s - RECENT_S
    columns = ", ".join(f'"{name}"' for name in _WHO)
    return f"""
        SELECT snapshot, coalesce(journal, '') AS journal,
            CASE WHEN {ended} < {old} THEN 0 WHEN {ended} >= {recent} THEN {ended}
                ELSE ({ended} // {QUARTER_S} + 1) * {QUARTER_S} - 1 END AS at_s,
            count(*) AS requests,
            sum(coalesce(settled_input, {_plus("input_tokens", "cached_input_tokens")}))::HUGEINT AS given,
            sum(coalesce(settled_output, {_plus("output_tokens", "reasoning_tokens")}))::HUGEINT AS made,
            sum(coalesce(charge_nanos, 0))::HUGEINT AS nanos,
            {columns}
        FROM (SELECT *, array_to_string(regexp_extract_all(coalesce(action, ''), '{_LED_TO}', 1), ' ') AS led_to,
                CASE WHEN {begun} < {old} THEN 0 ELSE {begun} // {QUARTER_S} END AS quarter
            FROM ({source}) WHERE usage_from <> '')
        GROUP BY ALL ORDER BY snapshot"""
