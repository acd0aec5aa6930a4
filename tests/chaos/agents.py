"""Agents that send spans while all goes wrong around them: a thread that sends each batch until it is told that it was
taken, as the SDKs of agents do."""

from __future__ import annotations

import http.client
import threading
from dataclasses import dataclass, field

import msgspec

from tests.chaos.plan import Group, secret

TRACE = "5a" * 16
"""Of all agents, whoever sends: traces of one id are one for each tenant."""
SPANS = 3
"""In a batch."""
EVERY_S = 0.1
PATIENCE_S = 10.0


@dataclass
class Batch:
    """Spans of one request. `taken`: it was answered with 200."""

    tenant: str
    spans: tuple[str, ...]
    sent: int = 0
    taken: bool = False


@dataclass
class Agents:
    """One after the other, each of another tenant; `batches` is complete when `stop` returned."""

    port: int
    groups: list[Group]
    began_s: float
    batches: list[Batch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """From now on."""
        self._thread.start()

    def stop(self) -> None:
        """Sends what is not taken yet once more, and ends."""
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._ends.is_set():
            tenant = self.groups[number % len(self.groups)].tenant
            batch = Batch(tenant, tuple(f"{number * SPANS + one + 1:016x}" for one in range(SPANS)))
            self.batches.append(batch)
            number += 1
            while not batch.taken:
                self._send(batch)
                if self._ends.wait(EVERY_S):
                    break

    def _send(self, batch: Batch) -> None:
        batch.sent += 1
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        headers = {"authorization": f"Bearer {secret(batch.tenant, 0)}", "content-type": "application/json"}
        try:
            connection.request("POST", "/v1/traces", _body(batch, self.began_s), headers)
            batch.taken = connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            pass  # its gateway is away, or was killed with it: nobody knows whether it was taken
        finally:
            connection.close()


def _body(batch: Batch, began_s: float) -> bytes:
    began_ns = int(began_s * 1e9)
    spans = [
        {
            "traceId": TRACE,
            "spanId": span,
            "name": f"step of {batch.tenant}",
            "startTimeUnixNano": str(began_ns + int(span, 16)),
            "endTimeUnixNano": str(began_ns + int(span, 16) + 1_000),
        }
        for span in batch.spans
    ]
    return msgspec.json.encode({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
