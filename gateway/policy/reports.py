"""What a worker tells the authority of its buckets, and what it learns from the replies. Pure; see `leases`.

Built and learnt in one step each, so that what is told is the state at one instant. A report that got no reply is
built anew: all of its numbers are whole sums.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from msgspec.structs import replace

from gateway.policy.authority import Reply, Report
from gateway.policy.leases import ALARM, Bucket, Leases

FIRST_SLICE: Final = 8
"""The first slice of a bucket is to last for so many requests like the one that asks."""
GROWS_WITHIN_S: Final = 8.0
"""A slice that is used up sooner is followed by one twice its size."""
SHRINKS_AFTER_S: Final = 60.0
"""A slice that lasted longer is followed by one half its size."""
RESTS_S: Final = 5.0
"""What nobody used for so long is given back; so long after that the bucket is dropped."""
SMALL: Final = 64
"""But what is at most one part in so many of what the authority has left is kept: others who come to need it ask for
it. Thousands of callers that each ask now and then would otherwise need an exchange each time …"""
KEEPS_S: Final = 300.0
"""… for so long, …"""
MOST_KEPT: Final = 400_000
"""… and of so many buckets."""


def build(
    leases: Leases, bucket: Bucket, position: tuple[int, int], now_s: float, least: int = 0, need: int = 0
) -> Report:
    """The report of one bucket. `position`: what of the journal its sums hold; `least` and `need`: what those who
    wait need beyond the slack, the first of them and all together; `now_s`: monotonic.
    """
    total = bucket.total
    window = bucket.meter.window
    if window.slot_s:
        leases.mark(bucket)
        spends = tuple(bucket.spends)
    else:
        spends = ((0, total - bucket.told_spent),) if total != bucket.told_spent else ()
    if least or bucket in leases.thirsty:
        bucket.slice = _next_slice(bucket, now_s)
        bucket.sliced_s = now_s
    want = max(0, bucket.slice - bucket.slack)
    bucket.asked = want > 0 or need > 0
    bucket.touched = False
    leases.thirsty.pop(bucket, None)
    bucket.low = ALARM
    leases.fresh.pop(bucket, None)
    leases.busy.discard(bucket)  # until the reply it is not looked after: it must not be dropped meanwhile
    if leases.resting.pop(bucket, None) is None:
        leases.kept.pop(bucket, None)
    return Report(
        key=bucket.key,
        cap=bucket.cap,
        window_s=window.seconds,
        slot_s=window.slot_s,
        known=bucket.known,
        granted=bucket.granted,
        spent=total,
        spends=spends,
        returned=bucket.returned,
        least=least,
        need=max(need, least),
        want=max(want, need),
        segment=position[0],
        offset=position[1],
        life=bucket.life,
        warn_at=tuple([each.amount for each in bucket.meter.at if each.action == "warn"]),
    )


def learn(leases: Leases, bucket: Bucket, report: Report, reply: Reply, now_s: float) -> None:
    """Takes in the reply to a report."""
    if bucket.known:
        gained = reply.granted - bucket.granted
        if bucket.meter.window.slot_s:
            _forget_told(bucket, report.spent - bucket.told_spent)
    else:
        bucket.known = True
        bucket.spent = bucket.marked = reply.spent
        bucket.granted = reply.spent + reply.returned
        bucket.returned = reply.returned
        report = replace(report, spent=reply.spent, returned=reply.returned)
        gained = reply.granted - bucket.granted
    bucket.granted += gained
    bucket.slack += gained
    bucket.told_spent, bucket.told_returned = report.spent, report.returned
    bucket.available, bucket.elsewhere = reply.available, reply.elsewhere
    bucket.settled, bucket.frees_s = reply.used, reply.frees_s
    bucket.asked = False
    if gained < report.want:  # the cap nears
        bucket.slice = bucket.slack
    if not bucket.touched:
        rest(leases, bucket, now_s)
    elif not bucket.waiting:
        half = bucket.slice // 2
        bucket.low = half if bucket.slack >= half else 0


def unheard(leases: Leases, bucket: Bucket) -> None:
    """No reply came to a report: it may have arrived or not, and is told again."""
    bucket.asked = False
    leases.touch(bucket)


def pass_over(leases: Leases, bucket: Bucket, now_s: float) -> None:
    """A bucket that was looked at and has nothing new, as those of concurrent requests when these have ended, is not
    told."""
    bucket.touched = False
    bucket.low = ALARM
    del leases.fresh[bucket]
    rest(leases, bucket, now_s)


def rest(leases: Leases, bucket: Bucket, now_s: float) -> None:
    """Nothing is new of the bucket: it is looked at again when something may be."""
    if bucket.held or bucket.waiting:
        leases.busy.add(bucket)
    else:
        leases.resting[bucket] = now_s


def look_after(leases: Leases, now_s: float) -> None:
    """About once a second: finds what changed without a hold, gives back what nobody uses, drops what is idle."""
    for bucket in list(leases.busy):
        if bucket.total != bucket.told_spent:
            leases.touch(bucket)
        elif not bucket.held and not bucket.waiting:
            leases.busy.discard(bucket)
            leases.resting[bucket] = now_s
    for bucket in _older(leases.resting, now_s - RESTS_S):
        if 0 < bucket.slack <= bucket.available // SMALL:
            del leases.resting[bucket]
            leases.kept[bucket] = now_s
        elif not leases.give_back(bucket):
            del leases.resting[bucket]
            leases.forget(bucket)
    for bucket in _older(leases.kept, now_s - KEEPS_S):
        leases.give_back(bucket)
    for bucket in list(islice(leases.kept, max(0, len(leases.kept) - MOST_KEPT))):
        leases.give_back(bucket)


def _older(since_s: dict[Bucket, float], than_s: float) -> list[Bucket]:
    """Those that are there since before that time; the longest are first."""
    found: list[Bucket] = []
    for bucket, each_s in since_s.items():
        if each_s > than_s:
            break
        found.append(bucket)
    return found


def untold(bucket: Bucket) -> bool:
    """Whether the authority does not know something of this bucket yet."""
    return bucket.total != bucket.told_spent or bucket.returned != bucket.told_returned


def _next_slice(bucket: Bucket, now_s: float) -> int:
    """Up to where the pocket is to be filled, now that it is nearly empty."""
    first = FIRST_SLICE * bucket.last_need
    if not bucket.slice:  # new, or what was in the pocket was given back
        return first
    lasted_s = now_s - bucket.sliced_s
    if lasted_s < GROWS_WITHIN_S:
        return max(first, 2 * bucket.slice)
    return max(first, bucket.slice // 2 if lasted_s > SHRINKS_AFTER_S else bucket.slice)


def _forget_told(bucket: Bucket, amount: int) -> None:
    """Takes the first `amount` away from what is not acknowledged."""
    spends = bucket.spends
    while amount > 0:
        slot, first = spends[0]
        if first > amount:
            spends[0] = (slot, first - amount)
            return
        amount -= first
        del spends[0]
