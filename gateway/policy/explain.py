"""Why a request went where it went and cost what it cost, in words: from its record, and the snapshot it ran under.
Pure; what comes out again is derived by `replay`, never guessed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from gateway.config.snapshot import Snapshot
from gateway.config.snapshot_meters import Price
from gateway.config.units_money import cap_text, money_text, token_price_text
from gateway.policy import timings
from gateway.policy.meters import models_of
from gateway.policy.recorded import Recorded, Tried
from gateway.policy.replay import Replay
from gateway.policy.timings import Timed

_OUTCOMES: Final = {
    "answered": "answered",
    "refused": "refused before any backend was asked, or by the caller's own fault",
    "cancelled": "its caller left",
    "failed": "failed",
    "crashed": "the worker died while it ran; this record was made of what it had written before",
}
_REASONS: Final = {
    "first": "the first try",
    "retry": "tried again",
    "fallback": "the next model was asked",
    "fresh_connection": "again at once on a fresh connection: the kept one had been closed",
}
_CHOICES: Final = {
    "only": "there was no other",
    "least_outstanding": "it had the least to do",
    "sticky": "it has this conversation's cache",
    "sticky_overflow": "the one with this conversation's cache had too much to do",
    "kept": "it keeps the answer that this one goes on from",
}
_AFTER: Final = {
    "other_endpoint": "another endpoint was left to try",
    "same_endpoint": "no other endpoint, so the same one after a pause",
    "no_other_endpoint": "another endpoint was needed, and none was left",
    "attempts_spent": "no more tries of this backend are allowed",
    "budget_spent": "the backend's budget of retries was used up",
    "not_curable": "another try could not help",
    "deadline": "the time for the whole request was over",
    "kept_alive_connection_died": "the connection had been closed while it was idle",
}
_FROM: Final = {
    "backend": "as the backend stated at the end",
    "running": "as the backend counted while it ran",
    "bound": "at most: the backend stated none that can be believed",
    "held": "all that was held: nobody saw the end",
    "none": "nothing was used",
}
_ACTIONS: Final = {
    "downgraded": "a threshold was crossed: the cheaper model {} was asked",
    "clamped": "each answer was bounded by {} tokens, which is what was left",
    "fallback": "the model before it failed: {} was asked",
    "refused": "there was not enough left of {}",
    "cut": "the answer was ended, since nothing more was left to pay for it",
    "beyond": "more was used than could have been by our bounds: charged as held",
}


class Step(NamedTuple):
    """One part of an explanation: a word, and lines about it."""

    name: str
    lines: list[str]


def steps(record: Recorded, snapshot: Snapshot | None) -> list[Step]:
    """What happened, in order. Without the snapshot, what only that says is left out."""
    models = models_of(record)
    route = None if snapshot is None else snapshot.models.get(models[-1])
    classic = None if snapshot is None else snapshot.classic.get(record.alias)
    price = route.price if route is not None else None if classic is None else classic.price
    found = [
        Step("request", list(_request(record))),
        Step("who", [_who(record)]),
        Step("model", list(_model(record, models, snapshot))),
        Step("price", list(priced(price)) if snapshot is not None else ["its snapshot is not there"]),
        Step("meters", list(_meters(record))),
        Step("checks", list(_checks(record))),
        *(Step(f"attempt {number}", list(_attempt(each))) for number, each in enumerate(record.attempts, 1)),
        Step("usage", list(_usage(record))),
        Step("charge", list(_charge(record, price))),
        Step("times", list(_times(record))),
    ]
    if snapshot is not None:
        found.append(Step("derived", list(_derived(record, snapshot))))
    return [step for step in found if step.lines]


def priced(price: Price | None) -> Iterator[str]:
    """What a model costs."""
    if price is None:
        yield "it has none"
        return
    classes = [
        f"{token_price_text(each)} {name.replace('_', ' ')}"
        for name in ("input", "cached_input", "output", "reasoning")
        if (each := getattr(price, name))
    ]
    if classes:
        yield ", ".join(classes)
    if price.request or price.call:
        yield f"{money_text(price.request + price.call)} for each call"
    if not classes and not price.request and not price.call:
        yield "free"


def action_words(action: str) -> Iterator[str]:
    """What meters did, a line each."""
    for word in action.split(" ") if action else ():
        name, _, rest = word.partition(":")
        yield _ACTIONS.get(name, word).format(rest)


def reading(key: str, used: int, cap: int) -> str:
    """A meter as it stood: `tenant:acme|usd|month@UTC|2026-11: $4 of $5 used (80%)`."""
    unit = key.split("|")[1] if key.count("|") >= 3 else ""
    share = f" ({used * 100 // cap}%)" if cap else ""
    return f"{key}: {_amount(used, unit)} of {_amount(cap, unit)} used{share}"


def _amount(amount: int, unit: str) -> str:
    return cap_text(f"{amount} {unit}") if unit else f"{amount:,}"


def _request(record: Recorded) -> Iterator[str]:
    kind = f"{record.endpoint or 'an unknown path'}{', streamed' if record.stream else ''}"
    yield f"{kind}, {record.body_bytes:,} bytes in, {record.answer_bytes:,} bytes out"
    told = f"status {record.status}" if record.status else "no status was sent"
    yield f"{_OUTCOMES.get(record.outcome, record.outcome)}: {told}, {record.code}"


def _who(record: Recorded) -> str:
    if not record.tenant:
        return "no key was recognised"
    more = f", booked to {record.project}" if record.project else ""
    return f"tenant {record.tenant}, key {record.key}{more}" + (f", for {record.end_user}" if record.end_user else "")


def _model(record: Recorded, models: list[str], snapshot: Snapshot | None) -> Iterator[str]:
    if not record.alias:
        return
    asked = f"{record.alias} was asked for"
    if snapshot is not None and (route := snapshot.models.get(models[0])) is not None and route.fallback:
        asked += f"; should {models[0]} fail: {', '.join(each.alias for each in route.fallback)}"
    yield asked
    if len(models) > 1 or models != [record.alias]:
        yield f"it went to {' and then '.join(models)}"
    if record.backend:
        yield f"backend {record.backend}, which calls it {record.served_model or 'something not recorded'}"
    elif record.outcome == "refused":
        yield "no backend was asked"


def _meters(record: Recorded) -> Iterator[str]:
    if record.held_input or record.held_output or record.held_nanos:
        what = "needed" if record.outcome == "refused" else "held"
        tokens = f"{record.held_input:,} input and {record.held_output:,} output tokens"
        yield f"{what} at most {tokens}, {money_text(record.held_nanos)}"
    if record.asked_output > record.held_output:
        yield f"it could have used {record.asked_output:,} output tokens"
    yield from (reading(*each) for each in record.readings)
    yield from action_words(record.action)


def _checks(record: Recorded) -> Iterator[str]:
    if record.chain:
        yield f"chain {record.chain}"
    for word in record.verdicts.split(" ") if record.verdicts else ():
        parts = word.split(":")
        if len(parts) == 6:
            phase, check, code, action, score, count = parts
            yield f"{phase}: {check} found {code} {count} time{'s' * (count != '1')}, score {score}: {action}"
    yield from (_timing(each) for each in timings.read(record.timings) if each.stage != timings.RUN)
    if record.judges:
        tokens = record.judge_input_tokens + record.judge_output_tokens
        yield f"judged by {record.judges}: {tokens:,} tokens, {money_text(record.judge_nanos)}"


def _timing(each: Timed) -> str:
    """How long checks took."""
    spent, all_of_it = each.spent_us / 1e3, each.took_us / 1e3
    if each.check:
        return f"{each.check} was asked {each.times} time{'s' * (each.times != 1)}: {spent:.1f} ms"
    over = f", over {all_of_it:.1f} ms" if each.times > 1 else ""
    return f"the checks of the {each.stage} took {spent:.1f} ms{over}, from {each.began_us / 1e3:.1f} ms on"


def _attempt(each: Tried) -> Iterator[str]:
    yield f"{each.backend} at {each.endpoint}: {_REASONS.get(each.reason, each.reason)}"
    if len(each.loads) > 1:
        out = f", not in service: {', '.join(map(str, each.out_of_service))}" if each.out_of_service else ""
        yield f"chosen since {_CHOICES.get(each.choice, each.choice)}; they ran {each.loads} requests{out}"
    times = f"sent at {each.sent_ms:.1f} ms" if each.sent_ms else "not sent"
    first = f", first byte at {each.first_byte_ms:.1f} ms" if each.first_byte_ms else ""
    status = f", status {each.status}" if each.status else ""
    yield f"{times}{first}, over at {each.ended_ms:.1f} ms{status}: {each.code}"
    if each.then:
        yield f"then: {_AFTER.get(each.then, each.then)}"


def _usage(record: Recorded) -> Iterator[str]:
    if record.input_tokens is None:
        return
    classes = (
        (record.input_tokens, "input"),
        (record.cached_input_tokens, "cached input"),
        (record.output_tokens, "output"),
        (record.reasoning_tokens, "reasoning"),
    )
    yield ", ".join(f"{count:,} {name}" for count, name in classes if count) or "no tokens"
    if record.usage_from in _FROM:
        yield _FROM[record.usage_from]
    if record.waste_tokens:
        payer = "its caller left, and pays" if record.outcome == "cancelled" else "the operator's"
        yield f"{record.waste_tokens:,} output tokens more were made and reached nobody ({payer})"


def _charge(record: Recorded, price: Price | None) -> Iterator[str]:
    if record.charge_nanos is None:
        return
    if price is not None and record.usage_from != "none" and record.outcome != "crashed":
        for count, each, name in (
            (record.input_tokens, price.input, "input"),
            (record.cached_input_tokens, price.cached_input, "cached input"),
            (record.output_tokens, price.output, "output"),
            (record.reasoning_tokens, price.reasoning, "reasoning"),
            (record.waste_tokens if record.outcome == "cancelled" else 0, price.output, "waste"),
        ):
            if count and each:
                yield f"{count:,} {name} × {token_price_text(each)}"
        if price.request or price.call:
            yield f"{money_text(price.request + price.call)} for the call"
        if record.judge_nanos:
            yield f"{money_text(record.judge_nanos)} for judging its texts"
    if record.outcome == "crashed":
        yield "what it held, since nobody knows what it used"
    yield f"= {money_text(record.charge_nanos)}"


def _times(record: Recorded) -> Iterator[str]:
    first = f", first byte of the answer at {record.first_byte_ms:.1f} ms" if record.first_byte_ms else ""
    if record.total_ms:
        yield f"{record.total_ms:.1f} ms in all{first}"


def _derived(record: Recorded, snapshot: Snapshot) -> Iterator[str]:
    found = Replay(snapshot).of(record)
    equal = [each.decision for each in found if each.equal]
    yield f"again from this record, and equal: {', '.join(dict.fromkeys(equal)) or 'nothing'}"
    for each in found:
        if each.derived is None:
            yield f"not {each.decision}: {each.why}"
        elif not each.equal:
            sides = f"recorded {each.recorded or 'nothing'}, derived {each.derived or 'nothing'}"
            yield f"DIFFERENT {each.decision}: {sides}"
