"""Cells and status as Prometheus reads them. Made when scraped, in the supervisor: it costs the hot path nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from gateway.telemetry import names
from gateway.telemetry.metrics import Histogram, Metrics
from gateway.telemetry.names import Metric
from gateway.telemetry.status import CONTENT_COUNTS, METER_COUNTS, Status, WorkerStatus

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
Sample = tuple[Sequence[str], float]


class Exposition(Collector):
    """Collects for `prometheus_client`: the families of `names`, in that order."""

    def __init__(self, metrics: Metrics, status: Status) -> None:
        self._metrics = metrics
        self._status = status
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def scrape(self, accept: str = "") -> tuple[str, bytes]:
        """Content type and body, in the newest format the scraper's `accept` header takes."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self._registry)

    def describe(self) -> Iterable[Family]:
        """Nothing: registering must not collect."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Every family, those without samples too, so that a dashboard sees the names from the start."""
        yield from self._requests()
        yield _simple(names.ATTEMPTS, self._metrics.attempts.items())
        yield from self._endpoints()
        yield from self._workers()
        yield from self._journals()
        yield from self._checks()
        yield from self._contents()
        yield from self._spans()
        yield from self._meters()
        yield from self._ledger()
        yield from self._configuration()

    def _requests(self) -> Iterator[Family]:
        requests: dict[tuple[str, ...], float] = defaultdict(int)
        tokens: dict[tuple[str, ...], float] = defaultdict(int)
        body: dict[tuple[str, ...], float] = defaultdict(int)
        answer: dict[tuple[str, ...], float] = defaultdict(int)
        for labels, cell in self._metrics.cells.items():
            tenant, endpoint, model, backend, code, outcome, _stream = labels
            requests[tenant, endpoint, model, backend, code, outcome] += cell.requests
            body[endpoint, model] += cell.body_bytes
            answer[endpoint, model] += cell.answer_bytes
            for kind, count in (
                ("input", cell.input_tokens),
                ("cached_input", cell.cached_input_tokens),
                ("output", cell.output_tokens),
                ("reasoning", cell.reasoning_tokens),
            ):
                if count:
                    tokens[tenant, model, kind] += count
        latencies = self._metrics.latencies.items()
        yield _simple(names.REQUESTS, requests.items())
        yield _histogram(names.DURATION, (((*by,), all_.duration) for by, all_ in latencies))
        streamed = [((endpoint, model), all_) for (endpoint, model, stream), all_ in latencies if stream == "true"]
        yield _histogram(names.TTFT, ((by, all_.ttft) for by, all_ in streamed))
        yield _histogram(names.TPOT, ((by, all_.tpot) for by, all_ in streamed))
        yield _simple(names.TOKENS, tokens.items())
        yield _simple(names.REQUEST_BYTES, body.items())
        yield _simple(names.ANSWER_BYTES, answer.items())

    def _endpoints(self) -> Iterator[Family]:
        up = [worker for worker in self._status.workers.values() if worker.up]
        outstanding: dict[tuple[str, str], float] = defaultdict(int)
        broken: dict[tuple[str, str], float] = defaultdict(float)
        for worker in up:
            for seen in worker.gauges.endpoints:
                outstanding[seen.backend, seen.endpoint] += seen.outstanding
                broken[seen.backend, seen.endpoint] += seen.breaker_open / len(up)
        yield _simple(names.OUTSTANDING, outstanding.items())
        yield _simple(names.BREAKER, broken.items())

    def _workers(self) -> Iterator[Family]:
        for metric, reading in (
            (names.IN_FLIGHT, _in_flight),
            (names.STREAMS, _streams),
            (names.CONNECTIONS, _connections),
            (names.LOOP_LAG, _loop_lag),
            (names.WORKER_UP, _up),
            (names.WORKER_RESTARTS, _restarts),
            (names.WORKER_MEMORY, _memory),
            (names.WORKER_CPU, _cpu),
            (names.JOURNAL_RESERVE, _reserve),
        ):
            workers = sorted(self._status.workers.items())
            yield _simple(metric, (((str(slot),), reading(worker)) for slot, worker in workers))
        errors: dict[str, float] = defaultdict(int)
        for worker in self._status.workers.values():
            for code, count in worker.http_errors.items():
                errors[code] += count.total
        yield _simple(names.HTTP_ERRORS, (((code,), count) for code, count in sorted(errors.items())))

    def _journals(self) -> Iterator[Family]:
        journal, workers = self._status.journal, self._status.workers.values()
        yield _simple(names.RECORDS_OPENED, [((), journal.opened)])
        yield _simple(names.RECORDS_CLOSED, [((), journal.closed)])
        yield _simple(names.RECORDS_RECOVERED, [((), journal.recovered)])
        yield _simple(names.RECORDS_GAP, [((), journal.gap)])
        yield _simple(
            names.RECORDS_UNWRITTEN,
            [
                (("end",), sum(worker.unwritten.total for worker in workers)),
                (("refusal",), sum(worker.unrecorded.total for worker in workers)),
            ],
        )
        yield _simple(names.JOURNAL_DAMAGED, [((), journal.damaged)])
        yield _simple(names.JOURNAL_BYTES, [((), journal.bytes)])
        yield _simple(names.JOURNAL_DROPPED, [((), journal.dropped_bytes)])
        yield _simple(names.JOURNAL_DROPPED_SEGMENTS, [((), journal.dropped_segments)])

    def _checks(self) -> Iterator[Family]:
        totals: dict[str, dict[tuple[str, ...], float]] = defaultdict(lambda: defaultdict(float))
        for worker in self._status.workers.values():
            for counted, count in worker.checks.items():
                kind, _, what = counted.rpartition(".")
                totals[what][kind,] += count.total
        failures = {
            (kind, reason): count for reason in ("late", "unavailable") for (kind,), count in totals[reason].items()
        }
        yield _simple(names.CHECK_QUESTIONS, totals["questions"].items())
        yield _simple(names.CHECK_FAILURES, failures.items())
        yield _simple(names.CHECK_SECONDS, totals["seconds"].items())
        yield _simple(names.CHECKS_UP, [((), self._status.checks.up)])

    def _contents(self) -> Iterator[Family]:
        workers, keeper = self._status.workers.values(), self._status.keeper
        kept, refused, unmasked = (sum(worker.content[name].total for worker in workers) for name in CONTENT_COUNTS)
        yield _simple(names.CONTENT_KEPT, [((), kept)])
        reasons = (("no_room", refused), ("unmasked", unmasked), ("no_key", keeper.content_lost.total))
        yield _simple(names.CONTENT_NOT_KEPT, (((reason,), count) for reason, count in reasons))
        yield _simple(names.CONTENT_ROWS, [((), keeper.gauges.content_rows)])

    def _spans(self) -> Iterator[Family]:
        spans = self._status.spans
        yield _simple(names.SPANS_EXPORTED, [((), spans.sent.total)])
        yield _simple(names.SPANS_LOST, [((), spans.lost.total)])
        yield _simple(names.SPANS_UP, [((), spans.up)])

    def _meters(self) -> Iterator[Family]:
        workers = self._status.workers.values()
        for metric, name in zip(_METERS, METER_COUNTS, strict=True):
            yield _simple(metric, [((), sum(worker.meters[name].total for worker in workers))])
        yield _simple(names.METER_WARNINGS, (((quantity,), count) for quantity, count in self._status.warnings.items()))
        buckets = [(kind.split(" "), counts) for kind, counts in self._status.keeper.gauges.buckets.items()]
        yield _simple(names.METER_BUCKETS, ((labels, all_) for labels, (all_, _) in buckets))
        yield _simple(names.METER_NEARLY, ((labels, nearly) for labels, (_, nearly) in buckets))
        yield _simple(names.METER_UNSETTLED, [((), self._status.keeper.gauges.unsettled)])

    def _ledger(self) -> Iterator[Family]:
        keeper = self._status.keeper
        yield _simple(names.LEDGER_ROWS, [((), keeper.gauges.ledger_rows)])
        yield _simple(names.LEDGER_BYTES, [((), keeper.gauges.ledger_bytes)])
        yield _simple(names.LEDGER_FILES, [((), keeper.gauges.ledger_files)])
        yield _simple(names.LEDGER_GAP, [((), keeper.gauges.ledger_gap)])
        yield _simple(names.RECORDS_ROWS, [((), keeper.gauges.records_rows)])
        yield _simple(names.RECORDS_BYTES, [((), keeper.gauges.records_bytes)])
        yield _simple(names.RECORDS_FILES, [((), keeper.gauges.records_files)])
        yield _simple(names.RECORDS_WAITING, [((), keeper.gauges.records_waiting)])
        yield _simple(names.AGENT_SPANS, [((), keeper.gauges.agent_spans)])
        yield _simple(names.AGENT_SPANS_WAITING, [((), keeper.gauges.agent_spans_waiting_bytes)])
        yield _simple(names.AGENT_SPANS_UNREADABLE, [((), keeper.gauges.agent_spans_unreadable)])
        yield _simple(names.LEDGER_AGE, [((), keeper.age_s)])
        yield _simple(names.LEDGER_DRIFT, [((), keeper.gauges.drift_nanos)])
        yield _simple(names.LEDGER_CHECKS, [((), keeper.drift_checks.total)])

    def _configuration(self) -> Iterator[Family]:
        status = self._status
        yield _simple(names.CONFIG_INFO, [((status.digest,), 1)] if status.digest else [])
        yield _simple(names.CONFIG_RELOADS, [(("ok",), status.reloads_ok), (("failed",), status.reloads_failed)])
        yield _simple(names.CONFIG_OK, [((), status.config_ok)])
        control = status.control
        yield _simple(names.CONTROL_STORE_UP, [((), control.store_up)])
        yield _simple(names.CONTROL_ENTRIES, [((), control.entries)])
        yield _simple(names.CONTROL_REFUSED, [((), control.refused)])
        yield _simple(names.CONTROL_UP, [((), control.up)])
        yield _simple(names.BUILD, [((status.version,), 1)])


_METERS: Final = (
    *(names.METER_EXCHANGES, names.METER_FAILURES, names.METER_WAITS, names.METER_REFUSALS, names.METER_RECALLS),
)
"""In the order of `METER_COUNTS`."""


def _simple(metric: Metric, samples: Iterable[Sample]) -> Family:
    family: CounterMetricFamily | GaugeMetricFamily
    if metric.kind == "counter":
        family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    else:
        family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def _histogram(metric: Metric, histograms: Iterable[tuple[Sequence[str], Histogram]]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    bounds = [*(str(float(bound)) for bound in metric.buckets), "+Inf"]
    for labels, histogram in histograms:
        counts = accumulate(histogram.counts)
        buckets = [(bound, float(count)) for bound, count in zip(bounds, counts, strict=True)]
        family.add_metric(labels, buckets, histogram.total)
    return family


def _in_flight(worker: WorkerStatus) -> float:
    return worker.gauges.in_flight


def _streams(worker: WorkerStatus) -> float:
    return worker.gauges.streams


def _connections(worker: WorkerStatus) -> float:
    return worker.gauges.connections


def _loop_lag(worker: WorkerStatus) -> float:
    return worker.loop_lag_s


def _up(worker: WorkerStatus) -> float:
    return worker.up


def _restarts(worker: WorkerStatus) -> float:
    return max(0, worker.starts - 1)


def _memory(worker: WorkerStatus) -> float:
    return worker.gauges.resident_bytes


def _cpu(worker: WorkerStatus) -> float:
    return worker.cpu_s.total


def _reserve(worker: WorkerStatus) -> float:
    return worker.gauges.journal_reserve_ok
