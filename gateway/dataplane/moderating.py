"""POST /v1/moderations: what the toxicity check makes of texts, in OpenAI's words."""

from __future__ import annotations

from typing import Final

from gateway.backends.waiter import Waiter
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.recording import Recording
from gateway.dataplane.turns import PIECE
from gateway.errors import CheckFailed, UnknownPath
from gateway.offload.client import CheckClient
from gateway.policy import identity, projects
from gateway.wire import moderations
from gateway.wire.call import JSON
from guardrails.check import Need
from guardrails.checks.asked import toxicity
from guardrails.segments import Segments

CHECK: Final = toxicity()
TOGETHER: Final = 64
"""Sentences that are asked about at once."""


async def moderate(gw: Gateway, ex: Exchange, record: Recording) -> None:
    """Answers with a score for each text: that of its worst sentence. A request, which costs nothing."""
    snap, admission = gw.snapshot, gw.admission
    record.begin("moderations", snap)
    caller = record.identified(identity.identify(snap.keys, ex.headers, record.row.started_ns))  # 401
    record.booked(projects.of(caller, ex.headers))  # 403
    if gw.checks is None or snap.chains is None:
        raise UnknownPath("this gateway judges no texts: its operator gives a chain the check toxicity for that")
    asked = moderations.parse(await ex.body())  # 400
    if admission is not None:  # 429, 503
        await admission.admit_free(record, caller)
    record.open()  # 503
    sentences: list[tuple[int, str]] = []
    for number, text in enumerate(asked.texts):
        parts = Segments()
        for begin in range(0, len(text), PIECE):
            if begin:
                await gw.turns.next()
            sentences += [(number, sentence) for _, sentence in parts.feed(text[begin : begin + PIECE])]
        sentences += [(number, sentence) for _, sentence in parts.finish()]
    scores = [0.0] * len(asked.texts)
    for at in range(0, len(sentences), TOGETHER):
        batch = sentences[at : at + TOGETHER]
        for (number, _), score in zip(batch, await _scores(gw.checks, [text for _, text in batch]), strict=True):
            scores[number] = max(scores[number], score)
    body = moderations.answer(record.id, asked.model or CHECK.target, scores, CHECK.threshold)
    record.close(200, "ok", "answered", len(body))
    ex.answer(200, record.answer_headers(JSON), body)


async def _scores(checks: CheckClient, sentences: list[str]) -> list[float]:
    """The score of each. Raises CheckFailed where one cannot be had."""
    found: list[float | None] = [None] * len(sentences)
    waiter: Waiter[None] = Waiter()
    left = len(sentences)
    why = ""

    def told(number: int, value: object | None, failure: str) -> None:
        nonlocal left, why
        left -= 1
        why = why or failure
        found[number] = value if isinstance(value, float) else None
        if not left and not waiter.done:
            waiter.set(None)

    for number, text in enumerate(sentences):
        need = Need(CHECK.kind, CHECK.target, text, number)
        checks.ask(need, None, lambda value, failure, number=number: told(number, value, failure))  # type: ignore[misc]
    await waiter
    scores = [each for each in found if each is not None]
    if len(scores) < len(sentences):
        raise CheckFailed(f"the check toxicity could not judge the texts ({why or 'nonsense'})")
    return scores
