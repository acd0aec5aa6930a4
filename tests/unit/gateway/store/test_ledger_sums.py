from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.config.snapshot_meters import CONCURRENT, INPUT, MONEY, OUTPUT, REQUESTS, Meter, Window
from gateway.policy import windows
from gateway.policy.meters import Row
from gateway.store import ledger_sums
from tests.support.journals import STARTED_NS, a_journal, a_record, dead_copy, recovered
from tests.support.ledgers import update
from tests.support.meters import LIFETIME, meter, rolling

NOW_NS = STARTED_NS + 600 * 10**9
DAY_NS = 86_400 * 10**9
DAY = Window("day", zone="Asia/Kolkata")
METERS = [
    meter(REQUESTS, 100, rolling(60)),
    meter(INPUT, 100, DAY),
    meter(OUTPUT, 100, LIFETIME),
    meter(CONCURRENT, 100, Window("none")),
    meter(MONEY, 100, rolling(7_200, 120)),
]


class Directory:
    """Every request of a tenant counts in all of `METERS`."""

    def keys_of(self, row: Row) -> list[tuple[str, Meter]]:
        who = f"{row.tenant}/{row.action}"
        return [(f"{who}|{each.quantity}|x|{windows.instance(each.window, row.started_ns)}", each) for each in METERS]


def used(request_id: str, **more: Any) -> Any:
    columns = {"held_input": 50, "held_output": 60, "charge_nanos": 7, "usage_from": "backend"}
    return a_record(request_id, **{**columns, **more})


def spent(state_dir: Path, *live: str) -> dict[str, Any]:
    update(state_dir)
    return dict(ledger_sums.spent(state_dir, "s", live, lambda digest: Directory(), NOW_NS))


def test_an_empty_ledger_says_nothing(tmp_path: Path) -> None:
    assert spent(tmp_path) == {}


def test_each_bucket_gets_what_its_records_were_settled_with(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(used("req_1"))
    journal.add(used("req_2", held_output=30, action="beyond"))
    journal.add(used("req_3", outcome="refused", usage_from=""))
    journal.add(
        used("req_4", tenant="umbrella", action="downgraded:tiny clamped:9 fallback:a/b cut", total_ms=30_000.0)
    )
    end_s = STARTED_NS // 10**9
    sums = spent(tmp_path)
    day = windows.instance(DAY, STARTED_NS)
    assert sums.keys() == {
        *(f"acme/|{quantity}|x|{day if quantity == INPUT else ''}" for quantity in (REQUESTS, INPUT, OUTPUT, MONEY)),
        *(
            f"umbrella/downgraded:tiny fallback:a/b|{quantity}|x|{day if quantity == INPUT else ''}"
            for quantity in (REQUESTS, INPUT, OUTPUT, MONEY)
        ),
    }
    assert sums["acme/|0|x|"] == {"s": [(end_s, 2)]}
    assert sums[f"acme/|1|x|{day}"] == {"s": [(0, 24)]}
    assert sums["acme/|2|x|"] == {"s": [(0, 34 + 30)]}
    assert sums["umbrella/downgraded:tiny fallback:a/b|4|x|"] == {"s": [((end_s + 30) // 120, 7)]}
    journal.stop()


def test_the_living_are_told_apart_from_the_dead_and_crashes_count_their_holds(tmp_path: Path) -> None:
    first, second = a_journal(tmp_path / "live"), a_journal(tmp_path, slot=1)
    first.add(used("req_1", charge_nanos=1))
    recovered(dead_copy(first, tmp_path))
    second.add(used("req_2", charge_nanos=10))
    second.add(used("req_3", charge_nanos=100, outcome="crashed", usage_from="held", input_tokens=None))
    sums = spent(tmp_path, second.directory.name)
    owner = f"s:{second.directory.name}"
    assert {whose: sum(n for _, n in told) for whose, told in sums["acme/|4|x|"].items()} == {"s": 1, owner: 110}
    day = windows.instance(DAY, STARTED_NS)
    assert sum(n for _, n in sums[f"acme/|1|x|{day}"][owner]) == 12 + 50
    first.stop()
    second.stop()


def test_windows_that_are_over_are_left_out_and_what_is_old_is_one(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(used("req_1", started_ns=STARTED_NS - DAY_NS))
    for number in range(2, 5):
        journal.add(used(f"req_{number}", started_ns=STARTED_NS - (40 + number) * DAY_NS))
    sums = spent(tmp_path)
    assert f"acme/|1|x|{windows.instance(DAY, NOW_NS)}" not in sums
    assert len(sums) == 3
    assert sorted(sums["acme/|0|x|"]["s"]) == [(0, 3), ((STARTED_NS - DAY_NS) // 10**9 // 900 * 900 + 899, 1)]
    journal.stop()
