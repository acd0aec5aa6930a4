"""What must hold of the ledger and of the tables of records and spans after a run. Pure, as `checks` is."""

from __future__ import annotations

from collections import Counter

from tests.chaos.evidence import Evidence
from tests.chaos.verdict import Verdict


def stored(seen: Evidence) -> Verdict:
    """Every record of a journal is in the ledger once, and in the records table once, as it was written."""
    tables = seen.tables
    journal = {record.id: record for record in seen.records}
    times = Counter(record.id for record in tables.records)
    lost = [record_id for record_id in journal if record_id not in times or record_id not in tables.ledger]
    twice = [record_id for record_id, count in times.items() if count > 1]
    twice += [record_id for record_id, (count, _) in tables.ledger.items() if count > 1]
    verdict = Verdict({"records": len(tables.records), "records lost": len(lost), "doubles": len(twice)})
    verdict.figures["ledger rows"] = sum(count for count, _ in tables.ledger.values())
    verdict.figures["files elsewhere"] = tables.elsewhere
    for record_id in lost:
        where = "the ledger" if record_id in times else "the records table"
        verdict.fail(f"{record_id} ({journal[record_id].outcome}) is in its journal and not in {where}")
    for record_id in twice:
        verdict.fail(f"{record_id} is there more than once")
    for record in tables.records:
        if record.id not in journal:
            verdict.fail(f"{record.id} is in the records table and in no journal")
        elif record != journal[record.id]:
            verdict.fail(f"{record.id} is not in the records table as it is in its journal")
    charged = sum(record.charge_nanos or 0 for record in tables.records)
    booked = sum(nanos for _, nanos in tables.ledger.values())
    verdict.figures["nano-dollars"] = charged
    if charged != booked:
        verdict.fail(f"{charged} nano-dollars by the records table, {booked} by the ledger")
    if tables.unread:
        verdict.fail(f"{tables.unread} records are in journals only, though the gateway ended in order")
    if seen.records and not tables.records:
        verdict.fail("the records table is empty")
    return verdict


def kept_spans(seen: Evidence) -> Verdict:
    """Every span that was taken is in its table and shown once; and none that nobody sent, or of another tenant."""
    tables = seen.tables
    taken = {(batch.tenant, span) for batch in tables.batches if batch.taken for span in batch.spans}
    sent = {(batch.tenant, span) for batch in tables.batches for span in batch.spans}
    verdict = Verdict({"spans taken": len(taken), "spans lost": len(taken - tables.spans.keys())})
    verdict.figures["batches sent again"] = sum(batch.sent > 1 for batch in tables.batches)
    for tenant, span in sorted(taken - tables.spans.keys()):
        verdict.fail(f"{span} of {tenant} was taken and is not in the table")
    for tenant, span in sorted((tables.spans.keys() | tables.told.keys()) - sent):
        verdict.fail(f"{tenant} has {span}, and never sent it")
    for (tenant, span), times in tables.told.items():
        if times > 1:
            verdict.fail(f"{span} of {tenant} is shown {times} times")
    for tenant, span in sorted(tables.spans.keys() - tables.told.keys()):
        verdict.fail(f"{span} of {tenant} is in the table and is not shown")
    if tables.batches and not taken:
        verdict.fail("no span was taken")
    return verdict
