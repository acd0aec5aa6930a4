"""Counts of what happened, as plain integers in cells; nothing is exported here.

One `Cell` holds everything counted for one combination of labels, so that a request costs one look-up. Labels come from
outside and are bounded here (`names.MOST_VALUES`, `names.MOST_SERIES`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from gateway import errors
from gateway.telemetry import names


class Histogram:
    """Observations by bucket: `counts` has one place more than `bounds`, for what is above the last."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """A value equal to a bound belongs to that bound's bucket, as Prometheus has it."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Latencies:
    """What is kept per endpoint, model and stream: durations in seconds."""

    __slots__ = ("duration", "tpot", "ttft")

    def __init__(self) -> None:
        self.duration = Histogram(names.DURATION.buckets)
        self.ttft = Histogram(names.TTFT.buckets)
        self.tpot = Histogram(names.TPOT.buckets)


class Labels(NamedTuple):
    """The labels of a request, bounded."""

    tenant: str
    endpoint: str
    model: str
    backend: str
    code: str
    outcome: str
    stream: str
    """"true" or "false"."""


class Cell:
    """What is counted for one `Labels`; the token classes do not overlap."""

    __slots__ = (
        "answer_bytes",
        "body_bytes",
        "cached_input_tokens",
        "input_tokens",
        "latencies",
        "output_tokens",
        "reasoning_tokens",
        "requests",
    )

    def __init__(self, latencies: Latencies) -> None:
        self.requests = 0
        self.body_bytes = 0
        self.answer_bytes = 0
        self.input_tokens = 0
        self.cached_input_tokens = 0
        self.output_tokens = 0
        self.reasoning_tokens = 0
        self.latencies = latencies


AttemptLabels = tuple[str, str, str, str]
"""backend, endpoint, reason, code."""


class Metrics:
    """Every cell there is."""

    __slots__ = ("_codes", "_models", "attempts", "cells", "latencies", "tenants")

    def __init__(self) -> None:
        self.cells: dict[Labels, Cell] = {}
        self.latencies: dict[tuple[str, str, str], Latencies] = {}
        """By endpoint, model, stream."""
        self.attempts: dict[AttemptLabels, int] = {}
        self.tenants: set[str] = set()
        """Those whose label is their name."""
        self._models: set[str] = set()
        self._codes = codes()

    def tenant(self, name: str) -> str:
        """A tenant as a label."""
        return _bounded(name, self.tenants)

    def cell(self, tenant: str, endpoint: str, alias: str, backend: str, code: str, outcome: str, stream: bool) -> Cell:
        """The cell of a request with these columns; `tenant` is a label already.

        An alias that led to no backend may be anything a caller sent: it counts under "other".
        """
        model = _bounded(alias, self._models) if backend else (names.OTHER if alias else names.NONE)
        labels = Labels(
            tenant,
            endpoint or names.NONE,
            model,
            backend or names.NONE,
            code if code in self._codes else names.OTHER,
            outcome,
            "true" if stream else "false",
        )
        if len(self.cells) >= names.MOST_SERIES and labels not in self.cells:
            labels = labels._replace(tenant=names.OTHER, model=names.OTHER, backend=names.OTHER)
        cell = self.cells.get(labels)
        if cell is None:
            by = (labels.endpoint, labels.model, labels.stream)
            cell = self.cells[labels] = Cell(self.latencies.setdefault(by, Latencies()))
        return cell

    def attempt(self, backend: str, endpoint: str, reason: str, code: str) -> None:
        """Counts a try."""
        labels = (backend, endpoint, reason or names.NONE, code if code in self._codes else names.OTHER)
        if len(self.attempts) >= names.MOST_SERIES and labels not in self.attempts:
            labels = (names.OTHER, names.OTHER, labels[2], labels[3])
        self.attempts[labels] = self.attempts.get(labels, 0) + 1


class Rising:
    """A total made of readings of a counter that begins at 0 again whenever its process is replaced."""

    __slots__ = ("_before", "_last")

    def __init__(self) -> None:
        self._before = 0.0
        self._last = 0.0

    def read(self, value: float) -> None:
        """A reading; one below the last says that the process is another."""
        if value < self._last:
            self._before += self._last
        self._last = value

    @property
    def total(self) -> float:
        """Over all processes."""
        return self._before + self._last


def codes() -> frozenset[str]:
    """Every value the label `code` can take, "other" apart."""
    return frozenset({"ok", *OURS, *(kind.code for kind in _with_subclasses(errors.GatewayError))})


OURS: Final = ("cancelled", "crashed")
"""Ends that are no error of ours or a backend's: the caller left, the worker died."""


def _with_subclasses(kind: type[errors.GatewayError]) -> Iterable[type[errors.GatewayError]]:
    yield kind
    for subclass in kind.__subclasses__():
        yield from _with_subclasses(subclass)


def _bounded(value: str, known: set[str]) -> str:
    """`value` as a label: the first `MOST_VALUES` values keep their names."""
    if not value:
        return names.NONE
    if value in known:
        return value
    if len(known) >= names.MOST_VALUES:
        return names.OTHER
    known.add(value)
    return value
