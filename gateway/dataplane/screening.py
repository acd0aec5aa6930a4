"""The checks of one request: its texts before a backend is asked, the answer's before the caller has it.

What a check finds and what follows is the chain's to say (`guardrails`); how texts are read out of a format is said
in `wire`. Here the screens are run, what they need is asked for, and what they decided is kept for the record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from gateway.backends.waiter import Waiter
from gateway.config.snapshot import Snapshot
from gateway.config.snapshot_callers import Caller
from gateway.config.snapshot_chains import keeps_responses
from gateway.dataplane import judging, kept_masks
from gateway.dataplane.call_outlets import RuledCall, WatchedCall
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.outlets import HeldDocument, Judged, Restored, ScreenOutlet, StreamedDocument, Told
from gateway.dataplane.recording import Recording
from gateway.dataplane.turns import PIECE
from gateway.errors import BudgetExhausted, CheckFailed, ContentFiltered, GatewayError, InvalidRequest
from gateway.offload.frames import UNAVAILABLE
from gateway.policy import verdicts
from gateway.policy.conversation import HEADER, conversation_key
from gateway.policy.timings import ANSWER, REQUEST, Stretch, Timings
from gateway.wire import body as wire_body
from gateway.wire import edited
from gateway.wire.call import Call, Codec
from gateway.wire.edits import Channel, Editor, Outcome, Part
from guardrails.chain import Chain, Row
from guardrails.check import Sight
from guardrails.checks.tools import NOT_ALLOWED
from guardrails.holdback import Mask
from guardrails.masking import Vault
from guardrails.screen import Call as Question
from guardrails.screen import labelled
from guardrails.verdict import Action, Phase, Verdict

MODEL: Final = "model"
TEXT_COST: Final = 200
"""A text takes as long as so many characters more: a request may have very many very short ones."""
RESPONSES: Final = "responses"
_MASKS: Final = (Action.MASK, Action.MASK_REVERSIBLE)
_SAID: Final = (Phase.OUTPUT, Phase.TOOL_CALL)


class Screening:
    """The checks of one request. Belongs to the event loop that serves it."""

    __slots__ = (
        "_chain",
        "_codec",
        "_gw",
        "_judged",
        "_judges_tools",
        "_reads",
        "_record",
        "_results",
        "_snap",
        "_tenant",
        "_timings",
        "_vault",
        "changed",
    )

    def __init__(
        self,
        gw: Gateway,
        snap: Snapshot,
        ex: Exchange,
        record: Recording,
        chain: Chain,
        caller: Caller,
        call: Call,
        codec: Codec,
    ) -> None:
        self._gw: Final = gw
        self._snap: Final = snap
        self._record: Final = record
        self._chain: Final = chain
        self._codec: Final = codec
        self._judged: Final[list[tuple[Phase, Judged]]] = []
        self._results: Sequence[str] = ()
        self._timings: Final = Timings(gw.clock.monotonic_s, ex.received_s)
        row = record.row
        row.chain = chain.name
        if not row.conversation:
            key = conversation_key(caller.tenant.name, ex.headers.get(HEADER), call, codec.opening)
            row.conversation = (key or b"").hex()
        self._tenant: Final = caller.tenant.name
        self._vault: Vault = gw.vault(self._tenant, row.conversation or record.id)
        self._judges_tools: Final = bool(chain.tools or chain.watched_tools)
        self._reads: Final = bool(chain.rows(Phase.OUTPUT) or chain.rows(Phase.TOOL_CALL) or self._judges_tools)
        self.changed: Callable[[], None] = _nobody
        """Called whenever answers came that a check needed."""

    # -- the request

    async def incoming(self, asked: Call, call: Call) -> tuple[Call, Call]:
        """Judges the texts of a request; returns it with what may be told a model in their place, as it came and as it
        was let in. Raises ContentFiltered, CheckFailed, InvalidRequest.
        """
        if call.stream and self.edits_answers and call.endpoint not in edited.STREAMS:
            raise InvalidRequest("an answer that is checked cannot be streamed here: ask for it whole", param="stream")
        chain, checks_input = self._chain, self.reads_input
        if chain.reverses and call.continues is not None:
            values = await kept_masks.recall(self._gw, self._tenant, call.continues)
            self._vault = self._gw.vault(self._tenant, self._record.row.conversation or self._record.id, values)
        if not (checks_input or chain.rows(Phase.TOOL_RESULT) or self._judges_tools or self.edits_answers):
            return asked, call
        texts = edited.REQUESTS[asked.endpoint](asked)
        self._results = texts.results
        if self._judges_tools:
            self._offered(texts.offered)
        if texts.unread and checks_input:
            words = "token ids cannot be checked, as the input of this key has to be: send text"
            raise InvalidRequest(f"{texts.unread}: {words}", param=texts.unread)
        said = await self.passed(texts.parts)
        if texts.leaks and self.edits_answers:
            words = "an answer that is checked cannot be had as tokens beside its text: leave it out"
            raise InvalidRequest(f"{texts.leaks}: {words}", param=texts.leaks)
        if asked.endpoint == RESPONSES and self._vault.values and keeps_responses(self._snap.backends.values()):
            await kept_masks.keep(self._gw, self._tenant, self._record.id, self._vault.values)
        fields, body = texts.said(said)
        told = _with(asked, fields, body)
        return told, told if call is asked else _with(call, fields, None)

    def _offered(self, names: Sequence[str]) -> None:
        """Judges what the model is offered. Raises ContentFiltered."""
        chain = self._chain
        for tools, enforced in ((chain.watched_tools, False), (chain.tools, True)):
            refused = tools.refused_offers(names) if tools is not None else []
            self._judged.extend((Phase.TOOL_CALL, RuledCall(NOT_ALLOWED, enforced=enforced)) for _ in refused)
            if refused and enforced:
                words = f"the tool {wire_body.shown(refused[0])} may not be offered to this model: leave it out"
                raise ContentFiltered(words, param="tools")

    async def passed(self, parts: Sequence[Part], *, restores: bool = False) -> list[str]:
        """What may be told in place of these texts of a request or, with `restores`, of an answer that cannot be cut
        off. Raises ContentFiltered, CheckFailed, BudgetExhausted for one that may not pass.
        """
        judged = await self._judge(parts, restores=restores)
        for part, (outlet, _) in zip(parts, judged, strict=True):
            if outlet is not None and outlet.blocked:
                raise _refusal(part, outlet.verdict())
        return [said for _, said in judged]

    # -- the answer

    @property
    def reads_output(self) -> bool:
        """Whether texts that are no calls of tools are read in an answer."""
        return bool(self._chain.rows(Phase.OUTPUT)) or bool(self._vault.values)

    @property
    def reads_input(self) -> bool:
        """Whether what callers say is read."""
        return bool(self._chain.rows(Phase.INPUT))

    @property
    def masked(self) -> Vault | None:
        """The values that are masked in this conversation, and put back in answers; None for none."""
        return self._vault if self._vault.values else None

    @property
    def masking(self) -> frozenset[str]:
        """The checks that mask what they find."""
        return frozenset(link.check.name for link in self._chain.links if link.enforced and link.action in _MASKS)

    @property
    def edits_answers(self) -> bool:
        """Whether answers are read: they are checked, or masked values are put back."""
        return (self._reads or bool(self._vault.values)) and self._codec.endpoint in edited.ANSWERS

    async def whole(self, body: bytes) -> bytes:
        """What may be delivered of a whole answer, in the caller's format. Raises UpstreamProtocol for what is none."""
        answer = edited.ANSWERS[self._codec.endpoint](body)
        judged = await self._judge(answer.parts, restores=True)
        return answer.said([Outcome(said, blocked=outlet is not None and outlet.blocked) for outlet, said in judged])

    def editor(self, call: Call) -> Editor:
        """The editor of a streamed answer, in the caller's format."""
        return edited.STREAMS[self._codec.endpoint](call, self._opened)

    def reading(self) -> Stretch:
        """What is to be open while its texts are read or waited for."""
        return self._timings.stage(ANSWER)

    def _opened(self, channel: Channel) -> Judged:
        phase = Phase(channel.phase)
        outlet = self._outlet(phase, channel.tool, is_json=channel.is_json, restores=True)
        if outlet is None:
            outlet = ScreenOutlet((), labelled, self._ask, self._told)
            self._judged.append((phase, outlet))
        return outlet

    @property
    def heard_bytes(self) -> int:
        """Of the texts of the answer that were read."""
        return sum(outlet.heard_bytes for phase, outlet in self._judged if phase in _SAID)

    # -- the record

    def verdicts(self) -> str:
        """What was found, in the words of a record."""
        found = verdicts.Found()
        for phase, outlet in self._judged:
            found.add(phase, outlet.verdict())
        return found.words()

    def timings(self) -> str:
        """What took how long, in those words; what is not over ends now."""
        return self._timings.words()

    # -- inside

    async def _judge(self, parts: Sequence[Part], *, restores: bool) -> list[tuple[Judged | None, str]]:
        """Judges texts to their end. Each with what may be delivered of it; None where no check looks."""
        if not any(self._looks(Phase(part.phase), restores=restores) for part in parts):
            return [(None, part.text) for part in parts]
        with self._timings.stage(ANSWER if restores else REQUEST):
            return await self._judge_all(parts, restores=restores)

    async def _judge_all(self, parts: Sequence[Part], *, restores: bool) -> list[tuple[Judged | None, str]]:
        """The same; a long text gives way to other requests now and then."""
        begun: list[tuple[Judged | None, list[str]]] = []
        is_long = sum(len(part.text) for part in parts) > PIECE
        looked_at = PIECE if is_long else 0  # of sixteen long ones that come together, one begins in this turn
        for part in parts:
            kept = len(self._judged)
            outlet = self._outlet(Phase(part.phase), part.tool, is_json=part.is_json, restores=restores)
            if outlet is None:
                begun.append((None, [part.text]))
                continue
            said: list[str] = []
            begun.append((outlet, said))
            looked_at += TEXT_COST
            for at in range(0, len(part.text) or 1, PIECE):
                piece = part.text[at : at + PIECE]
                looked_at += len(piece)
                if looked_at > PIECE + TEXT_COST:
                    looked_at = len(piece)
                    await self._gw.turns.next()
                said.append(outlet.feed(piece))
            said.append(outlet.finish())
            if not outlet.waits and _found_nothing(outlet):  # most texts, and there may be very many: not kept
                begun[-1] = (None, [*said, outlet.more()])
                del self._judged[kept:]
        for outlet, _ in begun:  # one that waits no more never does again
            while outlet is not None and outlet.waits:
                waiter: Waiter[None] = Waiter()
                self.changed = lambda waiter=waiter: None if waiter.done else waiter.set(None)  # type: ignore[misc]
                await waiter
        self.changed = _nobody
        return [(outlet, "".join(said) if outlet is None else "".join(said) + outlet.more()) for outlet, said in begun]

    def _looks(self, phase: Phase, *, restores: bool) -> bool:
        """Whether a text of this phase goes through anything."""
        chain = self._chain
        judges_tool = phase is Phase.TOOL_CALL and self._judges_tools
        return bool(chain.rows(phase)) or judges_tool or (restores and bool(self._vault.values))

    def _outlet(self, phase: Phase, tool: str, *, is_json: bool, restores: bool) -> Judged | None:
        """Where a text of this phase goes; None where it passes."""
        if not self._looks(phase, restores=restores):
            return None
        rows = self._chain.rows(phase)
        tools = self._chain.tools if phase is Phase.TOOL_CALL else None
        watched = self._chain.watched_tools if phase is Phase.TOOL_CALL else None
        puts_back = restores and bool(self._vault.values)
        # What a model says is masked for good: the values of this conversation stand there as placeholders.
        mask: Mask = labelled if restores else self._vault.mask
        outlet: Judged
        if not is_json or (not rows and tools is None):
            refused = None if tools is None else tools.refusal_of_text(tool, self._results)
            free = ScreenOutlet(rows, mask, self._ask, self._told)
            outlet = RuledCall(refused, enforced=True) if refused else free
        elif tools is None and restores and _only_masks(rows):
            outlet = StreamedDocument(rows, mask)
        else:
            outlet = HeldDocument(lambda: ScreenOutlet(rows, mask, self._ask, self._told), tools, tool, self._results)
        if watched is not None:
            outlet = WatchedCall(outlet, watched, tool, self._results, is_json=is_json)
        self._judged.append((phase, outlet))
        return Restored(outlet, self._vault, is_json=is_json) if puts_back else outlet

    def _ask(self, question: Question, told: Told) -> None:
        need, deadline_ms = question.need, question.link.deadline_ms
        told = self._timings.asked(question.link.check.name, told)
        if need.kind == MODEL:
            judging.ask(self._gw, self._snap, self._record, need, deadline_ms, told)
        elif self._gw.checks is not None:
            self._gw.checks.ask(need, deadline_ms, told)
        else:
            asyncio.get_running_loop().call_soon(told, None, UNAVAILABLE)

    def _told(self) -> None:
        self.changed()


def _nobody() -> None:
    """Nobody waits."""


def _found_nothing(outlet: Judged) -> bool:
    verdict = outlet.verdict()
    return not (outlet.blocked or verdict.rulings or verdict.failures)


def _only_masks(rows: Sequence[Row]) -> bool:
    """Whether nothing that these checks find can block, or needs more than it has seen."""
    return all(
        row.check.sight is Sight.PATTERN
        and not any(link.enforced and link.action is Action.BLOCK for _, link in row.links.values())
        for row in rows
    )


def _with(call: Call, fields: dict[str, bytes], body: bytes | None) -> Call:
    """The call with these fields in place of its own; `body` where that is known."""
    whole = call.fields | {name: msgspec.Raw(value) for name, value in fields.items()}
    return call.changed(fields=whole, body=wire_body.join(call.fields, fields) if body is None else body)


def _refusal(part: Part, verdict: Verdict) -> GatewayError:
    """Why a text was blocked."""
    for ruling in verdict.rulings:
        if ruling.enforced and ruling.action is Action.BLOCK:
            found = ruling.finding
            return ContentFiltered(
                f"{part.place} was blocked by the check {found.check} ({found.code})", param=part.place
            )
    failed = next(failure for failure in verdict.failures if failure.closed)
    if failed.reason == verdicts.UNPAID:
        return BudgetExhausted(f"not enough is left of a budget for the check {failed.check} to judge {part.place}")
    return CheckFailed(f"{part.place} could not be checked by {failed.check} ({failed.reason}), which has to be")
