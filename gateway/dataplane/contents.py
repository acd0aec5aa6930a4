"""What is said in one request, kept where its tenant's policy asks for it: taken from what passes, written when the
request has ended. A request that nobody asks to keep meets one branch of this.

Masked content is what the chain let through: of a request the bytes that a backend is asked with, of an answer what
the caller got, with placeholders again for the values that were masked in its conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from gateway.config.model_content import Content as Policy
from gateway.config.snapshot_callers import Caller
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.recording import Recording
from gateway.dataplane.screening import Screening
from gateway.errors import GatewayError
from gateway.policy import verdicts
from gateway.policy.conversation import HEADER, conversation_key
from gateway.store.content import FULL, MOST_BYTES, Content, Said
from gateway.wire import edited
from gateway.wire.call import Call
from gateway.wire.edits import Answer, Channel, Editor, Outcome, Part
from gateway.wire.infer.texts import AnswerTexts
from guardrails.jsontext import JsonText
from guardrails.masking import Masking, Vault


class Keeping:
    """Of one request. `add` gets what its caller is sent; `ended` is called once."""

    __slots__ = (
        *("_answer", "_bytes", "_call", "_editor", "_gw", "_kept", "_lost"),
        *("_masking", "_policy", "_record", "_request", "_vault"),
    )

    def __init__(self, gw: Gateway, record: Recording, policy: Policy, call: Call, request: bytes) -> None:
        self._gw: Final = gw
        self._record: Final = record
        self._policy: Final = policy
        self._call: Final = call
        self._request: Final = request
        self._answer: list[bytes] = []
        self._bytes = 0
        self._kept = 0
        self._lost = False
        self._masking: frozenset[str] = frozenset()
        self._vault: Vault | None = None
        self._editor: Editor | None = None

    def masks(self, screening: Screening) -> None:
        """What is kept is masked: by these checks, and without the values of this conversation."""
        self._masking = screening.masking
        self._vault = screening.masked
        if self._vault is not None and self._call.stream and self._call.endpoint in edited.STREAMS:
            self._editor = edited.STREAMS[self._call.endpoint](self._call, self._opened)

    def add(self, data: bytes) -> None:
        """The caller is sent this."""
        self._bytes += len(data)
        if self._editor is not None:
            data = self._editor.feed(data)
        self._take(data)

    def ended(self) -> None:
        """Nothing more is sent, and the record is closed."""
        row, policy = self._record.row, self._policy
        journal = self._gw.contents
        if policy.record != FULL and (not self._masking or verdicts.failed_open(row.verdicts, self._masking)):
            self._gw.unmasked += 1
            return
        if journal is None:
            return
        if self._editor is not None:
            self._take(self._editor.finish())
        answer = b"".join(self._answer)
        if self._vault is not None and self._editor is None and row.status == 200:
            answer = self._hidden(answer)
        request = self._request
        journal.keep(
            Content(
                row.id,
                row.started_ns,
                row.tenant,
                row.end_user,
                row.endpoint,
                policy.record,
                policy.retention_days,
                policy.key or "",
                Said(
                    request[:MOST_BYTES],
                    len(request),
                    self._call.content_type.decode("latin-1"),
                    len(request) > MOST_BYTES,
                ),
                Said(answer, self._bytes, "", self._lost),
            )
        )

    def _take(self, data: bytes) -> None:
        room = MOST_BYTES - self._kept
        if len(data) > room:
            self._lost = True
            data = data[:room]
        if data:
            self._kept += len(data)
            self._answer.append(data)

    def _hidden(self, answer: bytes) -> bytes:
        """A whole answer without the values; nothing of one that was cut, or cannot be read: they may be in it."""
        read = _READERS.get(self._call.endpoint)
        assert self._vault is not None
        if read is None:  # nothing was put back into it
            return answer
        try:
            hidden = b"" if self._lost else read(answer, self._vault)
        except (GatewayError, ValueError):
            hidden = b""
        self._lost = self._lost or not hidden
        return hidden[:MOST_BYTES]

    def _opened(self, channel: Channel) -> Hiding:
        assert self._vault is not None
        return Hiding(self._vault, is_json=channel.is_json)


class Hiding:
    """Where a text of a streamed answer goes: it comes out whole, at its end."""

    __slots__ = ("_text",)

    blocked = False
    waits = False

    def __init__(self, vault: Vault, *, is_json: bool) -> None:
        self._text: Final = JsonText(lambda: Masking(vault)) if is_json else Masking(vault)

    def feed(self, text: str) -> str:
        return self._text.feed(text)

    def more(self) -> str:
        return ""

    def finish(self) -> str:
        return self._text.finish()


def keep(
    gw: Gateway,
    ex: Exchange,
    record: Recording,
    caller: Caller,
    call: Call,
    screening: Screening | None,
    opening: Callable[[Call], bytes],
    sent: bytes | None = None,
) -> None:
    """Begins to keep what is said in a request whose tenant's policy asks for it. `call`: as a backend is asked;
    `sent`: as the caller said it, where that is not the body as it came."""
    policy = caller.tenant.content
    assert policy is not None
    row = record.row
    if not row.conversation and call.continues is None:
        key = conversation_key(caller.tenant.name, ex.headers.get(HEADER), call, opening)
        row.conversation = (key or b"").hex()
    is_full = policy.record == FULL
    keeping = Keeping(gw, record, policy, call, (ex.whole if sent is None else sent) if is_full else call.body)
    if not is_full and screening is not None:
        keeping.masks(screening)
    record.content = ex.tap = keeping


def _whole(reader: Callable[[bytes], Answer], answer: bytes, vault: Vault) -> bytes:
    read = reader(answer)
    return read.said([Outcome(_text(part, vault)) for part in read.parts])


def _tensors(answer: bytes, vault: Vault) -> bytes:
    read = AnswerTexts(answer, None)
    return read.said([vault.hidden(part.text) for part in read.parts])[0]


def _text(part: Part, vault: Vault) -> str:
    hiding = Hiding(vault, is_json=part.is_json)
    return hiding.feed(part.text) + hiding.finish()


_READERS: Final[Mapping[str, Callable[[bytes, Vault], bytes]]] = {
    "infer": _tensors,
    **{endpoint: partial(_whole, reader) for endpoint, reader in edited.ANSWERS.items()},
}
"""By endpoint: a whole answer into which values were put back, without them. Each raises UpstreamProtocol."""
