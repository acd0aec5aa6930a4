"""What a stream used that did not come to its end: one that its caller no longer hears, or that its meters or checks
have ended, is hung up on, and what had been made of it by then is counted, since somebody pays for it.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.backends.http1 import Connection
from gateway.backends.reply import Reply
from gateway.backends.waiter import Waiter
from gateway.dataplane.admitted import Admitted
from gateway.errors import UpstreamError
from gateway.policy import bounds
from gateway.policy.terms import FIRST_STEP
from gateway.wire import running as wire_running
from gateway.wire.call import Call
from gateway.wire.running import RunningRelay
from gateway.wire.usage import Usage

ABSURD: Final = 4
"""Where a caller sets no limit, a count of so many times the model's most is not believed."""
CUT_DRAIN_S: Final = 0.5
"""How long a caller waits for the last frame of an answer that was cut, at most."""
LEFT_DRAIN_S: Final = 2.0
"""How long an upstream may take to notice that it is no longer heard."""


def settled(record: Admitted, running: RunningRelay, passed: int) -> None:
    """What a running stream used, to the record: `passed` output tokens reached the caller, the rest is waste."""
    row, usage = record.row, running.usage
    if usage is None:  # nothing was counted: so many bytes were said, which may be none; at most the input was read
        passed = min(passed, running.produced)
        row.input_tokens, row.cached_input_tokens, row.output_tokens, row.reasoning_tokens = (
            row.held_input,
            0,
            passed,
            0,
        )
        row.waste_tokens = running.produced - passed
        row.usage_from = "bound"
        return
    made = usage.output_tokens + usage.reasoning_tokens
    passed = min(passed, made)
    thought = min(usage.reasoning_tokens, passed)
    row.input_tokens, row.cached_input_tokens = usage.input_tokens, usage.cached_input_tokens
    row.output_tokens, row.reasoning_tokens = passed - thought, thought
    row.waste_tokens = made - passed
    row.usage_from = "running"


def heard(record: Admitted, usage: Usage | None, said_bytes: int) -> None:
    """The same of a stream that was hung up on and told no running usage: `usage` is of its beginning, if it told any,
    and what was read of it were so many bytes. Nothing where no meter counts it.
    """
    row = record.row
    if record.hold is None or not record.terms.counts_tokens:
        return
    given = (row.held_input, 0) if usage is None else (usage.input_tokens, usage.cached_input_tokens)
    row.input_tokens, row.cached_input_tokens = given
    row.output_tokens, row.reasoning_tokens = min(said_bytes, row.held_output), 0
    row.usage_from = "bound"


def most_believed(record: Admitted, call: Call) -> int:
    """A running count of more output tokens than these is no count: the backend was told to stop before, or is said to
    make far fewer."""
    most = bounds.output_tokens(call, 0) if bounds.limited(call) else ABSURD * record.terms.max_output
    return max(most, record.row.held_output) + FIRST_STEP


async def count_unheard(record: Admitted, call: Call, connection: Connection, waiter: Waiter[Reply]) -> None:
    """The caller left before the first byte came: hangs up, and counts what comes. When the upstream does not end it
    in time, nothing is known, and the record is settled with what was held.
    """
    running = wire_running.counter()
    running.most = most_believed(record, call)
    connection.hang_up()
    timer = asyncio.get_running_loop().call_later(LEFT_DRAIN_S, connection.abort)
    late = False
    try:
        reply = await waiter
        if reply.streaming:
            await connection.pump(running.feed, _drop)
    except UpstreamError:
        pass
    finally:
        late = timer.when() <= asyncio.get_running_loop().time()
        timer.cancel()
        connection.abort()
    if not late:
        settled(record, running, 0)


def _drop(data: bytes) -> None:
    """Nobody is there to hear it."""
