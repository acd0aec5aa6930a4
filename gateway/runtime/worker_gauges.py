"""How a worker is, read from its data plane for the supervisor's metrics."""

from __future__ import annotations

from gateway.dataplane.gateway import Gateway
from gateway.telemetry import process
from gateway.telemetry.gauges import EndpointGauges, WorkerGauges


def read(gateway: Gateway) -> WorkerGauges:
    """As of now."""
    journal, leasing, contents = gateway.journal, gateway.leasing, gateway.contents
    return WorkerGauges(
        in_flight=gateway.in_flight,
        streams=gateway.streams,
        connections=len(gateway.connections),
        journal_reserve_ok=journal.reserve_ok,
        resident_bytes=process.resident_bytes(),
        cpu_s=process.cpu_s(),
        unwritten=journal.unwritten,
        unrecorded=journal.unrecorded,
        meter_exchanges=0 if leasing is None else leasing.exchanges,
        meter_failures=0 if leasing is None else leasing.failures,
        meter_waits=0 if leasing is None else leasing.waits,
        meter_refusals=0 if leasing is None else leasing.refusals,
        meter_recalls=0 if leasing is None else leasing.recalls,
        content_kept=0 if contents is None else contents.kept,
        content_refused=0 if contents is None else contents.refused,
        content_unmasked=gateway.unmasked,
        http_errors=gateway.http_errors,
        checks={} if gateway.checks is None else gateway.checks.tally.counts,
        endpoints=[
            EndpointGauges(backend.name, endpoint.name, endpoint.view.outstanding, endpoint.health.state != "closed")
            for backend in gateway.backends.values()
            for endpoint in backend.endpoints
        ],
    )
