"""What a backend's reply means that is not the answer asked for."""

from __future__ import annotations

from typing import Final

from gateway.backends.reply import Reply
from gateway.errors import (
    InvalidRequest,
    NotServed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamProtocol,
    UpstreamRejected,
    UpstreamTimeout,
)
from gateway.wire.call import JSON, Call, Form

NOT_OUR_KEY: Final = frozenset((401, 403, 407))
"""Refusals of the gateway's own credentials: the operator must act."""

NO_SUCH_THING: Final = frozenset((404, 405, 501))
"""The endpoint does not exist there, or the model. What the backend says of it is not for callers (vLLM lists models),
and says nothing of its health: any caller can ask an embedding model to chat.
"""


def not_kept() -> InvalidRequest:
    """Of a call that goes on from an answer that is not there."""
    words = "no answer of this id is kept for this key's tenant (any more): send the whole input"
    return InvalidRequest(words, param="previous_response_id")


def judge(reply: Reply, form: Form, call: Call) -> UpstreamError | UpstreamRejected | NotServed | InvalidRequest:
    """What a reply means that is not the answer asked for. Redirects are never followed."""
    status = reply.status
    if status == 200:
        return UpstreamProtocol("the backend answered a stream with something else")
    if status in (429, 503):
        headers = () if reply.retry_after is None else (("retry-after", reply.retry_after.decode("latin-1")),)
        return UpstreamBusy("the backend is full at the moment", headers=headers)
    if status in (408, 504):
        return UpstreamTimeout(f"the backend gave up waiting (status {status})")
    if status == 404 and call.continues is not None:
        return not_kept()
    if status in NO_SUCH_THING:
        return NotServed(form.missing)
    if status >= 500 or status in NOT_OUR_KEY:
        return UpstreamFailed(f"the backend failed with status {status}")
    if 400 <= status < 500:
        if form.refusal is not None:
            return UpstreamRejected(status, JSON, form.refusal(status, reply.body))
        return UpstreamRejected(status, reply.content_type or JSON, reply.body)
    return UpstreamProtocol(f"the backend answered with status {status}")
