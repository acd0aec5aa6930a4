"""How a worker is, as it tells the supervisor each second, and how the keeper is, after each of its passes.

A worker's are a struct for those who write and read, and a flat map of numbers on the wire, so that either side may
know names the other does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

_ENDPOINT: Final = "endpoint"
_HTTP_ERROR: Final = "http_error"
_CHECK: Final = "check"
_SEPARATOR: Final = "\t"


class EndpointGauges(msgspec.Struct):
    """One endpoint as one worker sees it."""

    backend: str
    endpoint: str
    outstanding: int = 0
    """Attempts that run there now."""
    breaker_open: bool = False
    """The worker sends it nothing (a trial apart)."""


class WorkerGauges(msgspec.Struct):
    """One worker, now; `cpu_s` and the counts after it rise from 0 when its process starts."""

    in_flight: int = 0
    streams: int = 0
    connections: int = 0
    journal_reserve_ok: bool = True
    resident_bytes: int = 0
    cpu_s: float = 0.0
    """User and system time of the process."""
    unwritten: int = 0
    """`Journal.unwritten`."""
    unrecorded: int = 0
    """`Journal.unrecorded`."""
    meter_exchanges: int = 0
    meter_failures: int = 0
    meter_waits: int = 0
    meter_refusals: int = 0
    meter_recalls: int = 0
    """Of `Leasing`, by its names."""
    content_kept: int = 0
    content_refused: int = 0
    """Of `ContentJournal`, by its names."""
    content_unmasked: int = 0
    """`Gateway.unmasked`."""
    http_errors: dict[str, int] = {}
    """`Gateway.http_errors`."""
    checks: dict[str, float] = {}
    """`Tally.counts` of what checks asked: `classifier.questions`."""
    endpoints: list[EndpointGauges] = []

    def flat(self) -> dict[str, float]:
        """As sent."""
        numbers: dict[str, float] = {name: float(getattr(self, name)) for name in _PLAIN}
        for code, count in self.http_errors.items():
            numbers[_HTTP_ERROR + _SEPARATOR + code] = float(count)
        for what, amount in self.checks.items():
            numbers[_CHECK + _SEPARATOR + what] = float(amount)
        for seen in self.endpoints:
            key = _SEPARATOR.join((_ENDPOINT, seen.backend, seen.endpoint))
            numbers[key + _SEPARATOR + "outstanding"] = float(seen.outstanding)
            numbers[key + _SEPARATOR + "breaker_open"] = float(seen.breaker_open)
        return numbers

    @classmethod
    def read(cls, numbers: Mapping[str, float]) -> WorkerGauges:
        """What `flat` made; names that are not known are passed over, those that are missing keep their defaults."""
        gauges = cls()
        endpoints: dict[tuple[str, str], EndpointGauges] = {}
        for name, value in numbers.items():
            if name.startswith(_ENDPOINT + _SEPARATOR):
                _, backend, address, what = name.split(_SEPARATOR)
                seen = endpoints.setdefault((backend, address), EndpointGauges(backend, address))
                if what == "outstanding":
                    seen.outstanding = int(value)
                elif what == "breaker_open":
                    seen.breaker_open = bool(value)
            elif name.startswith(_HTTP_ERROR + _SEPARATOR):
                gauges.http_errors[name.partition(_SEPARATOR)[2]] = int(value)
            elif name.startswith(_CHECK + _SEPARATOR):
                gauges.checks[name.partition(_SEPARATOR)[2]] = value
            elif name == "cpu_s":
                gauges.cpu_s = value
            elif name == "journal_reserve_ok":
                gauges.journal_reserve_ok = bool(value)
            elif name in _PLAIN:
                setattr(gauges, name, int(value))
        gauges.endpoints = list(endpoints.values())
        return gauges


_PLAIN: Final = WorkerGauges.__struct_fields__[:-3]
"""The fields that are one number."""


class KeeperGauges(msgspec.Struct):
    """The ledger and the meters, as the keeper saw them last."""

    ledger_rows: int = 0
    ledger_bytes: int = 0
    ledger_files: int = 0
    ledger_unreadable: int = 0
    """Entries of journals that are no record, since the keeper started."""
    ledger_gap: int = 0
    """Requests that are not once in the ledger and once in the records table, since the keeper started."""
    records_rows: int = 0
    records_bytes: int = 0
    records_files: int = 0
    records_waiting: int = 0
    """Files of records that are to be brought elsewhere."""
    agent_spans: int = 0
    """Spans of agents in their table."""
    agent_spans_waiting_bytes: int = 0
    """Of requests that brought some, not in the table yet."""
    agent_spans_unreadable: int = 0
    """Requests whose spans nobody could read after they were taken, since the keeper started."""
    content_rows: int = 0
    content_lost: int = 0
    """Contents that could not be read or locked, since the keeper started."""
    pass_ok: bool = False
    """Whether the last pass added everything there was."""
    drift_nanos: int = 0
    """What workers told of money beyond, or below, what their records say."""
    drift_checks: int = 0
    """Leases that were compared with their records, since the keeper started."""
    buckets: dict[str, tuple[int, int]] = {}
    """Level and quantity of meters, with a space → how many buckets there are, and how many are nearly used up."""
    unsettled: int = 0
    """Dead workers whose leases were not given back yet."""
