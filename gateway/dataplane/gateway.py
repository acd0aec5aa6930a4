"""What a worker serves with: the snapshot, the backends, the journal and the clock, held in one object for the
handlers.

Nothing here decides anything. `reload` swaps the snapshot by one assignment; a request keeps the one it began with.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from random import Random
from typing import TYPE_CHECKING, Protocol

from gateway.backends.base import Backend
from gateway.backends.run_threads import RunThreads
from gateway.clock import Clock
from gateway.config.snapshot import Snapshot
from gateway.dataplane.admission import Admission
from gateway.dataplane.leasing import Leasing
from gateway.dataplane.tokenizing import Tokenizers
from gateway.dataplane.turns import Turns
from gateway.offload.client import CheckClient
from gateway.policy import kept
from gateway.policy.balance import EndpointView
from gateway.store.content import Content
from gateway.store.ids import RequestIds
from gateway.store.journal import Journal
from gateway.store.span_spool import Spool
from gateway.wire.infer.request import TensorSpec
from guardrails.masking import Vault

if TYPE_CHECKING:  # imports numpy and ONNX Runtime, which a gateway without classic models does not need
    from gateway.backends.onnx import Session


class Served(Protocol):
    """A caller's connection, as the gateway looks after it."""

    def tick(self, now: float) -> None:
        """Ends what is late."""
        ...

    def cut(self) -> None:
        """Cancels the request being answered: the process ends."""
        ...


class BugLog(Protocol):
    """Where an unexpected exception is told: the request's id and the traceback, never content."""

    def bug(self, request_id: str, error: BaseException) -> None: ...


class Contents(Protocol):
    """Where what is said is kept; and for how many requests it was, and was not."""

    kept: int
    refused: int

    def keep(self, content: Content) -> bool:
        """Writes it; False where there is no room, which is counted."""
        ...


class Gateway:
    """One worker's data plane. Built by `runtime`; belongs to one event loop."""

    __slots__ = (
        "_leaving",
        "_salts",
        "_secret",
        "admission",
        "backends",
        "bugs",
        "checks",
        "classic",
        "clock",
        "connections",
        "contents",
        "date_line",
        "draining",
        "http_errors",
        "ids",
        "in_flight",
        "journal",
        "judges",
        "leasing",
        "loaded_s",
        "random",
        "runs",
        "snapshot",
        "spool",
        "streams",
        "taking",
        "turns",
        "unmasked",
    )

    def __init__(
        self,
        snapshot: Snapshot,
        backends: Mapping[str, Backend],
        journal: Journal,
        ids: RequestIds,
        clock: Clock,
        random: Random,
        secret: bytes,
        bugs: BugLog,
        classic: Mapping[str, Mapping[str, Session]] | None = None,
        leasing: Leasing | None = None,
        checks: CheckClient | None = None,
        spool: Spool | None = None,
    ) -> None:
        """`classic`: the loaded sessions of the snapshot's classic models, by alias and version. `leasing` must be
        given where a snapshot meters anything. `checks` answers what chains of checks ask for; without it nothing does.
        `spool` keeps agents' spans; without it none are taken.
        """
        self.snapshot = snapshot
        self.leasing = leasing
        self.checks = checks
        self.loaded_s = clock.wall_ns() // 10**9
        self.backends = backends
        self.classic = classic or {}
        self.runs = RunThreads()
        self.spool = spool
        self.taking = RunThreads(1)  # one: the spool is not for several at once, and more would only fight for the lock
        self.journal = journal
        self.ids = ids
        self.clock = clock
        self.random = random
        self.bugs = bugs
        self.connections: set[Served] = set()
        self.draining = False
        self.in_flight = 0
        self.streams = 0
        self.turns = Turns()
        self.judges: dict[tuple[str, str], TensorSpec] = {}
        """By backend and served model: what a classic model that judges texts takes, where its server told."""
        self.contents: Contents | None = None
        """Set where a tenant's policy asks for it."""
        self.unmasked = 0
        """Contents that were not kept since a check that should have masked did not look."""
        self.http_errors: dict[str, int] = {}
        self.date_line = b""
        self._secret = secret
        self._leaving: list[tuple[Backend, float]] = []
        self._salts: dict[tuple[str, str], bytes] = {}
        self.admission = self._admission()
        self.tick(clock.monotonic_s())

    def reload(
        self,
        snapshot: Snapshot,
        backends: Mapping[str, Backend],
        classic: Mapping[str, Mapping[str, Session]] | None = None,
    ) -> None:
        """Serves with a new snapshot from the next request on. Backends no longer used let their requests end; a
        session ends with the last request that uses it.
        """
        old = self.backends
        until_s = (
            self.clock.monotonic_s() + self.snapshot.limits.total_s
        )  # by then every request that knew it has ended
        self.backends = backends
        self.classic = classic or {}
        self.snapshot = snapshot
        self.loaded_s = self.clock.wall_ns() // 10**9
        self.admission = self._admission()
        self._salts.clear()
        self.judges = {}
        for name, backend in old.items():
            if backends.get(name) is not backend:
                backend.close()
                self._leaving.append((backend, until_s))

    def _admission(self) -> Admission | None:
        """The meters of the snapshot in force; None where nothing is metered."""
        if not self.snapshot.metered:
            return None
        if self.leasing is None:
            raise ValueError("the configuration has meters or prices, and nothing was given to keep them")
        tokenizers = Tokenizers(self.backends, self.snapshot.limits, self.clock, self.random)
        return Admission(self.snapshot, self.leasing, self.backends, tokenizers)

    @property
    def takes_new(self) -> bool:
        """Whether new requests are taken: not while draining, nor while the journal cannot take more."""
        return not self.draining and self.journal.accepts_new

    def cut(self) -> None:
        """Cancels every request that still runs: each answers that the process ends, and closes its record."""
        for connection in list(self.connections):
            connection.cut()

    def tick(self, now: float) -> None:
        """Called about four times a second with the loop's time: every deadline, the date header."""
        self.date_line = b"date: %b\r\n" % formatdate(self.clock.wall_ns() / 1e9, usegmt=True).encode("ascii")
        for connection in list(self.connections):
            connection.tick(now)
        for backend in self.backends.values():
            backend.tick(now)
        for backend, _ in self._leaving:
            backend.tick(now)
        if self.leasing is not None:
            self.leasing.tick(now)
        if self._leaving:
            self._leaving = [leaving for leaving in self._leaving if now <= leaving[1]]

    def salt(self, tenant: str, own: str) -> bytes:
        """The `cache_salt` (JSON) that keeps a tenant's prefix-cache entries apart from every other's.

        HMAC-SHA256 over the tenant and the caller's `own` salt, each with its length, so that no pair of values
        collides with another (vLLM issue 44701 shows what happens otherwise).
        """
        salt = self._salts.get((tenant, own))
        if salt is None:
            message = b"%d:%b%d:%b" % (len(tenant), tenant.encode(), len(own), own.encode())
            digest = hmac.new(self._secret, message, hashlib.sha256).digest()
            salt = b'"%b"' % base64.urlsafe_b64encode(digest).rstrip(b"=")
            if not own:  # a caller's own salts are without bound, so they are not kept
                self._salts[tenant, own] = salt
        return salt

    def vault(self, tenant: str, conversation: str, values: Mapping[str, str] | None = None) -> Vault:
        """A place for the values that are masked in a conversation, `values` of earlier requests (by placeholder) among
        them: a value has the same placeholder there in every request, and another one elsewhere.
        """
        key = hmac.digest(self._secret, b"masks", hashlib.sha256)
        return Vault(key, tenant, conversation, values)

    def masks_of(self, tenant: str, request_id: str) -> str:
        """Where the values are kept that were masked up to the answer to this request of the tenant's."""
        return kept.masks(self._secret, tenant, request_id)

    def kept_name(self, tenant: str, endpoint: EndpointView, request_id: str) -> bytes:
        """The id (JSON) of an answer that this endpoint will keep for the tenant."""
        return b'"%b"' % kept.name(self._secret, tenant, endpoint, request_id).encode()

    def kept_at(self, tenant: str, response_id: str, endpoints: Sequence[EndpointView]) -> int | None:
        """Which of the endpoints keeps an answer of the tenant's; None: none does."""
        return kept.place(self._secret, tenant, response_id, endpoints)

    def count_http_error(self, reason: str) -> None:
        """A connection that broke the protocol before it became a request: counted, since it leaves no record."""
        self.http_errors[reason] = self.http_errors.get(reason, 0) + 1
