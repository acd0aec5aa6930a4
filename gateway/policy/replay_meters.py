"""What meters decided, derived again: downgrades, refusals, holds, clamps, charges. Pure; see `replay`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from gateway.config.model import Fake, Vllm
from gateway.config.snapshot import Snapshot
from gateway.config.snapshot_callers import Caller
from gateway.config.snapshot_meters import Meter
from gateway.errors import BudgetExhausted, RateLimited
from gateway.policy.bounds import LIMITS
from gateway.policy.leases import Bucket, Bundle, of
from gateway.policy.meters import BEYOND, DOWNGRADED, FELL_BACK, Asker, key_of, meters_of, until_ns
from gateway.policy.recorded import Recorded
from gateway.policy.resolve import Plan
from gateway.policy.settled import charged, unstated
from gateway.policy.terms import Terms, downgraded_to, frees_itself, softer, too_large
from gateway.wire.usage import Usage

CLAMPED: Final = "clamped:"
REFUSED: Final = "refused:"
CUT: Final = "cut"
MOST_KNOWN: Final = 20_000
"""Kinds of requests of which something is remembered; when there are more, all of it is forgotten."""
IN_REQUEST: Final = ("input", "tool_result")
"""The phases of a request's own texts."""
_NOBODY: Final = Asker("", "", "", "", "", "")
_STREAMS: Final = ("chat", "completions", "messages", "responses")
_GREW: Final = "the hold was not plain, or grew as the answer ran: its steps are not kept"


class Derived(NamedTuple):
    """One decision: as recorded, and as it comes out again. `derived` is None where that cannot be known, for the
    reason `why`."""

    decision: str
    recorded: str
    derived: str | None
    why: str = ""

    @property
    def equal(self) -> bool:
        """Whether it came out as it was recorded."""
        return self.derived == self.recorded


_BOUNDS: Final = Derived("bounds", "", None, "they are made of the body, which is not in the record")


class Meters:
    """The meters and prices of one snapshot."""

    def __init__(self, snapshot: Snapshot, callers: Mapping[tuple[str, str], Caller]) -> None:
        self._snap = snapshot
        self._callers = callers
        self._terms: dict[str, Terms] = {}
        self._known: dict[Asker, tuple[int, int, Mapping[str, Meter]]] = {}

    def terms(self, alias: str) -> Terms:
        """What a model costs; with no meters, which are the caller's."""
        found = self._terms.get(alias)
        if found is None:
            route, classic = self._snap.models.get(alias), self._snap.classic.get(alias)
            plan = Plan(alias, () if route is None else (route,), "direct")
            own = None if classic is None else classic.price
            money = self._snap.money
            found = Terms(_NOBODY, Bundle(()), 0, 0, plan, frozenset(), money=money, own=own)
            self._terms[alias] = found
        return found

    # -- before it is let in

    def thresholds(self, record: Recorded, caller: Caller) -> Iterable[Derived]:
        """The model it was sent to by what was used, and the answer's bound."""
        words = record.action.split(" ") if record.action else []
        readings = record.readings[:-1] if any(map(_is_end, words)) else record.readings
        recorded = next((word for word in words if word.startswith(DOWNGRADED)), "")
        model = recorded[len(DOWNGRADED) :] or record.alias
        if record.endpoint in LIMITS and (readings or recorded):
            first: dict[str, int] = {}
            for key, used, _ in readings:
                first.setdefault(key, used)
            used_then = self._used(record, caller, record.alias, first)
            if recorded and not used_then:
                yield Derived("downgrade", recorded, None, "no reading of a meter was kept")
            else:
                found = downgraded_to(self._snap, softer(used_then), record.alias, self.terms(record.alias).price)
                yield Derived("downgrade", recorded, DOWNGRADED + found if found else "")
        if record.answers and record.usage_from:
            last = {key: used for key, used, _ in readings}
            yield self._clamp(record, words, self._used(record, caller, model, last), model)

    def _used(
        self, record: Recorded, caller: Caller, model: str, readings: Mapping[str, int]
    ) -> Sequence[tuple[Meter, int]]:
        """The meters of a model that were read, and what was used of them."""
        return [(meter, readings[key]) for key, meter in self._keys(record, caller, model).items() if key in readings]

    def _keys(self, record: Recorded, caller: Caller, model: str) -> Mapping[str, Meter]:
        """The meters of a model by the keys of their buckets, which are the same until a window ends."""
        asker = Asker(record.tenant, record.key, record.project, model, record.end_user, record.conversation)
        known = self._known.get(asker)
        if known is None or not known[0] <= record.started_ns < known[1]:
            found = meters_of(self._snap, caller, record.project, model)
            keys = {key_of(meter, asker, record.started_ns): meter for meter in found}
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            known = self._known[asker] = (record.started_ns, until_ns(found, record.started_ns), keys)
        return known[2]

    def _clamp(self, record: Recorded, words: Sequence[str], used: Sequence[tuple[Meter, int]], model: str) -> Derived:
        """How far each answer was bounded, by what was held of what was asked for."""
        recorded = next((word for word in reversed(words) if word.startswith(CLAMPED)), "")
        if any(word.startswith((REFUSED, FELL_BACK)) for word in words):
            return Derived("clamped", recorded, None, "a fallback was bounded anew, and of its asking there is no row")
        if record.outcome == "cancelled" and not record.attempts and not recorded:
            return Derived(
                "clamped", recorded, None, "its caller left before it was asked, perhaps before it was bounded"
            )
        if record.verdicts and any(map(_is_mask, record.verdicts.split(" "))):
            return Derived("clamped", recorded, None, "masks may have made its body longer, and it was bounded anew")
        steps = (
            record.stream
            and record.answers == 1
            and not any(each.action == "clamp" for each in softer(used))
            and self._runs(record, model)
        )
        if steps or record.held_output >= record.asked_output:
            return Derived("clamped", recorded, "")
        return Derived("clamped", recorded, f"{CLAMPED}{record.held_output // record.answers}")

    def _runs(self, record: Recorded, model: str) -> bool:
        route = self._snap.models.get(model)
        kind = None if route is None else self._snap.backends.get(route.backend)
        return isinstance(kind, Vllm | Fake) and record.endpoint in _STREAMS

    # -- what it held, and was charged

    def settled(self, record: Recorded, caller: Caller, model: str) -> list[Derived]:
        """Bounds, refusal, hold, usage, charge; `model` is the last that was asked."""
        terms = self.terms(model)
        words = record.action.split(" ") if record.action else []
        refused = next((word for word in reversed(words) if word.startswith(REFUSED)), "") if words else ""
        found = [_BOUNDS] if record.held_input or record.held_output else []
        if refused:
            found += self._refused(record, caller, refused, model)
        if refused and record.outcome != "refused":
            unknown = "which fallback was refused is not in the record"
            found.append(Derived("held", str(record.held_nanos), None, unknown))
        elif record.usage_from or refused:
            found.append(_held(record, terms, refused=bool(refused)))
        if record.usage_from:
            found += _usage(record)
            if terms.money:
                found.append(_charge(record, terms, beyond=BEYOND in words))
        return found

    def _refused(self, record: Recorded, caller: Caller, word: str, model: str) -> Iterable[Derived]:
        key = word[len(REFUSED) :]
        meter = self._keys(record, caller, model).get(key)
        reading = next((each for each in reversed(record.readings) if each[0] == key), None)
        if meter is None and record.outcome != "refused":
            yield Derived("refused", word, None, "it is a meter of a fallback, which is not in the record")
        elif meter is None:
            yield Derived("refused", word, "")
        elif reading is None:
            yield Derived("refused", word, None, "the reading of the meter was not kept")
        else:
            yield Derived("cap", str(reading[2]), str(meter.cap))
            needs = (1, record.held_input, record.held_output, 1, record.held_nanos)
            if reading[1] + of(needs, meter.quantity) > reading[2]:
                yield Derived("refused", word, word)
            else:
                yield Derived(
                    "refused", word, None, "other workers had what was left: their holds are not in the record"
                )
            if record.outcome == "refused":
                lasting = too_large(Bucket(meter, key), needs) or not frees_itself(meter)
                yield Derived("code", record.code, BudgetExhausted.code if lasting else RateLimited.code)


def _held(record: Recorded, terms: Terms, *, refused: bool) -> Derived:
    """The money that was held, or needed by what was refused, for so many tokens."""
    recorded = str(record.held_nanos)
    if record.outcome == "crashed" or (record.asked_output and record.stream and not refused):
        return Derived("held", recorded, None, _GREW)
    if record.judge_nanos or record.judges:
        return Derived("held", recorded, None, "it holds what judging its texts may cost, which is not kept apart")
    nanos = terms.needs(record.held_input, record.held_output)[4]
    if record.asked_output and not refused and record.held_nanos > nanos:
        return Derived("held", recorded, None, "its input was counted after it had been held")
    return Derived("held", recorded, str(nanos))


def _usage(record: Recorded) -> Iterable[Derived]:
    """What was used at most, where nobody stated it."""
    if record.usage_from in ("bound", "held", "none") and record.outcome != "crashed":
        recorded = f"{record.input_tokens} {record.output_tokens} {record.usage_from}"
        if record.stream:
            yield Derived("usage", recorded, None, "how far a stream had come is not kept")
        else:
            sent = any(attempt.sent_ms > 0 for attempt in record.attempts)
            yield Derived("usage", recorded, " ".join(map(str, unstated(record, sent=sent))))


def _charge(record: Recorded, terms: Terms, *, beyond: bool) -> Derived:
    """What the tenant pays, and what waste cost."""
    recorded = f"{record.charge_nanos} {record.waste_nanos}"
    if record.outcome == "crashed":
        return Derived("charge", recorded, f"{record.held_nanos or None} 0")
    usage = Usage(
        record.input_tokens or 0,
        record.cached_input_tokens or 0,
        record.output_tokens or 0,
        record.reasoning_tokens or 0,
    )
    if record.usage_from == "backend" and not record.waste_tokens:
        nanos, waste = terms.charge(*_classes(usage)), 0
    else:
        left = record.outcome == "cancelled"
        nanos, waste = charged(terms.price, usage, record.usage_from, record.waste_tokens, left=left)
    if beyond:
        if record.judges:
            return Derived("charge", recorded, None, "more was used than held, and judging is not kept apart of it")
        nanos = min(nanos, record.held_nanos)
    if record.judge_nanos:
        nanos = min(nanos + record.judge_nanos, record.held_nanos)
    return Derived("charge", recorded, f"{nanos} {waste}")


def _classes(usage: Usage) -> tuple[int, int, int, int]:
    return usage.input_tokens, usage.cached_input_tokens, usage.output_tokens, usage.reasoning_tokens


def _is_mask(verdict: str) -> bool:
    """Whether a check masked something in the request; of verdicts that were left out nobody knows."""
    phase, _, _, action, *_ = (*verdict.split(":"), "", "", "", "")
    return phase == "more" or (phase in IN_REQUEST and action.startswith("mask"))


def _is_end(word: str) -> bool:
    """Whether the last reading is that of what ended the request."""
    return word == CUT or word.startswith(REFUSED)
