"""Deriving the decisions of a request again: from its record and the snapshot it ran under, by the very functions that
decide while it runs. Pure.

What comes out again, and from what:

    caller      the key is in the snapshot, and had not expired
    project     the key may book to it, or it is the only one
    model       the alias exists, the caller may use it, and it has a price where money is counted
    downgrade   thresholds, with the readings of their meters
    route       the backend and the model asked at last; the order of the fallbacks
    chain       the caller's and the model's
    refused     the reading of the bucket that was short, and what was needed
    cap         of the bucket that was short: the meter's
    held        prices, and the tokens that were held
    clamped     what was held of what was asked for
    endpoint    loads, who was in service, the conversation, the draw
    following   what was done after a failed try
    usage       where the backend stated none
    charge      prices and usage; waste too

What does not is told with the reason: a `Derived` whose `derived` is None. Never derived, since texts and bodies are
not in records: verdicts of checks, and the bounds of what a request can use.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from gateway.config.snapshot import ModelRoute, Snapshot
from gateway.config.snapshot_callers import Caller
from gateway.errors import ModelNotFound, NotPriced, NotServed
from gateway.policy import replay_attempts, replay_meters
from gateway.policy.meters import models_of
from gateway.policy.recorded import Recorded
from gateway.policy.replay_meters import IN_REQUEST, MOST_KNOWN, Derived
from gateway.policy.resolve import Plan

MODELS: Final = frozenset(
    (
        *("chat", "completions", "messages", "messages_count", "responses"),
        *("embeddings", "rerank", "score", "transcriptions", "infer"),
    )
)
"""Endpoints that ask a model."""
_NO_MODEL: Final = (ModelNotFound.code, NotPriced.code)
_NOBODY: Final = Derived("caller", "", None, "no key was recognised, and keys are not kept")


class _Alike(NamedTuple):
    """What is derived once for many requests: before meters are read, the models asked and the plan of the first (None
    for a classic one), and after."""

    before: list[Derived]
    models: list[str]
    plan: Plan | None
    after: list[Derived]


class Replay:
    """Derives records again that were made under one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snap = snapshot
        self._callers = {(caller.tenant.name, caller.key): caller for caller in snapshot.keys.values()}
        self._alike: dict[tuple[object, ...], _Alike] = {}
        self._plans: dict[str, Plan | None] = {}
        self._chains: dict[tuple[str | None, str, str], str] = {}
        self._meters = replay_meters.Meters(snapshot, self._callers)
        self._attempts = replay_attempts.Attempts(snapshot)

    def of(self, record: Recorded) -> list[Derived]:
        """Every decision of the request, in the order they were made."""
        if not record.tenant:
            return [_NOBODY]
        caller = self._callers.get((record.tenant, record.key))
        if caller is None or (caller.expires_ns is not None and record.started_ns >= caller.expires_ns):
            return [Derived("caller", f"{record.tenant}/{record.key}", "")]
        alike = self._of_alike(record, caller)
        if not alike.models:
            return alike.before.copy()
        found = alike.before.copy()
        if alike.plan is not None and (record.readings or record.answers or record.action):
            found += self._meters.thresholds(record, caller)
        found += alike.after
        if alike.plan is not None and record.attempts:
            found += self._attempts.of(record, alike.models, alike.plan)
        found += self._meters.settled(record, caller, alike.models[-1])
        return found

    def _of_alike(self, record: Recorded, caller: Caller) -> _Alike:
        """What does not depend on numbers, readings or loads: derived once for all requests that are alike in it."""
        key = (
            *(record.tenant, record.key, record.project, record.endpoint, record.alias, record.version, record.backend),
            *(record.served_model, record.outcome, record.code, record.action, record.chain, record.verdicts),
            bool(record.attempts),
        )
        found = self._alike.get(key)
        if found is None:
            if len(self._alike) >= MOST_KNOWN:
                self._alike.clear()
            found = self._alike[key] = self._derived_alike(record, caller)
        return found

    def _derived_alike(self, record: Recorded, caller: Caller) -> _Alike:
        before = self._begun(record, caller)
        if record.endpoint not in MODELS or not record.alias or not before[-1].equal or record.code in _NO_MODEL:
            return _Alike(before, [], None, [])
        models = models_of(record) if record.action else [record.alias]
        plan = self._plan(models[0])
        if plan is None:
            after = [*self._classic(record), *self._screened(record, caller, models[0], ())]
        else:
            after = [*self._route(record, models, plan), *self._screened(record, caller, plan.alias, plan.routes)]
        return _Alike(before, models, plan, after)

    # -- one decision each

    def _begun(self, record: Recorded, caller: Caller) -> list[Derived]:
        """The decisions before any that is about what it asks of its model."""
        name = f"{record.tenant}/{record.key}"
        found = [Derived("caller", name, name)]
        if record.endpoint in MODELS and record.alias:
            found += (_project(record, caller), self._model(record, caller))
        return found

    def _model(self, record: Recorded, caller: Caller) -> Derived:
        alias = record.alias
        route, classic = self._snap.models.get(alias), self._snap.classic.get(alias)
        recorded = record.code if record.code in _NO_MODEL else "found"
        if record.code == ModelNotFound.code and classic is not None:
            return Derived("model", recorded, None, "which version was asked for is not in the record")
        if record.code == NotServed.code:
            return Derived("model", "found", "found")  # by the model, or by its backend
        found = route or classic
        if found is None or not caller.allows(alias):
            derived = ModelNotFound.code
        elif found.price is None and self._snap.money and (found is route or recorded == NotPriced.code):
            derived = NotPriced.code  # a classic model is looked at closely before its price is
        else:
            derived = "found"
        return Derived("model", recorded, derived)

    def _plan(self, alias: str) -> Plan | None:
        """The routes of a model, those without a price left out where money is counted; None for a classic one."""
        if alias not in self._plans:
            route = self._snap.models.get(alias)
            if route is None:
                self._plans[alias] = None
            else:
                routes = (route, *route.fallback)
                if self._snap.money:
                    routes = tuple(each for each in routes if each.price is not None)
                self._plans[alias] = Plan(alias, routes, "with_fallbacks" if route.fallback else "direct")
        return self._plans[alias]

    def _route(self, record: Recorded, models: list[str], plan: Plan) -> Iterable[Derived]:
        """Where it went at last, and that fallbacks were tried in their order."""
        order = [route.alias for route in plan.routes]
        if len(models) > 1:
            places = [order.index(alias) if alias in order else -1 for alias in models]
            right = places[0] == 0 and all(one < other for one, other in itertools.pairwise(places))
            yield Derived("fallbacks", " ".join(models[1:]), " ".join(models[1:] if right else order[1:]))
        if record.backend:
            route = self._snap.models.get(models[-1])
            # Of a crash only the backend is known.
            served = "" if record.outcome == "crashed" or route is None else route.served_model
            derived = "" if route is None else f"{route.backend} {served}"
            yield Derived("route", f"{record.backend} {record.served_model}", derived)

    def _classic(self, record: Recorded) -> Iterable[Derived]:
        model = self._snap.classic.get(record.alias)
        if record.backend and model is not None:
            derived = f"onnx {record.alias} {record.version}" if record.version in model.versions else ""
            yield Derived("route", f"{record.backend} {record.served_model} {record.version}", derived)

    def _screened(
        self, record: Recorded, caller: Caller, alias: str, routes: Sequence[ModelRoute]
    ) -> Iterable[Derived]:
        """The chain (of the caller, the model and all that may answer), and that what it blocked was refused."""
        if not (record.chain or record.attempts or record.outcome == "answered"):
            return
        key = (caller.chain, record.alias, alias)
        if key not in self._chains:
            chain = self._snap.chain_of(caller, record.alias, routes)
            self._chains[key] = "" if chain is None else chain.name
        yield Derived("chain", record.chain, self._chains[key])
        if record.chain:
            yield Derived("verdicts", record.verdicts, None, "they are about its texts, which are not in the record")
            words = [word.split(":") for word in record.verdicts.split(" ")]
            blocked = {word[3] for word in words if word[0] in IN_REQUEST} & {"block", "fail_closed"}
            if len(blocked) == 1:
                derived = "content_filter" if blocked == {"block"} else "check_failed"
                yield Derived("screened", record.code, derived)


def _project(record: Recorded, caller: Caller) -> Derived:
    """A header names one of several, which is not in the record: it must be one of the key's."""
    projects = caller.projects
    if record.project in projects:
        return Derived("project", record.project, record.project)
    return Derived("project", record.project, projects[0] if projects else "")


class Tally:
    """Counts what came out again, what did not, and what could not be derived."""

    def __init__(self) -> None:
        self.records = 0
        self.equal: Counter[str] = Counter()
        self.different: Counter[str] = Counter()
        self.not_derived: Counter[tuple[str, str]] = Counter()
        """By decision and reason."""
        self.missing: Counter[str] = Counter()
        """Records by the snapshot that is not there, or cannot be read."""

    def add(self, found: Iterable[Derived]) -> list[Derived]:
        """Counts those of one record; returns those that differ."""
        self.records += 1
        equal, different = self.equal, []
        for each in found:
            if each.derived is None:
                self.not_derived[each.decision, each.why] += 1
            elif each.derived == each.recorded:
                equal[each.decision] += 1
            else:
                self.different[each.decision] += 1
                different.append(each)
        return different
