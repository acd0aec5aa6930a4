"""The same handlers behind plain ASGI (spec 3.0): for tests in process and for servers other than ours.

Each call of the application is one `Exchange`. What a server of this kind does by itself (framing, header limits,
slow senders) is its business; body limits, back-pressure and the end of a caller are kept here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from gateway.dataplane import lifecycle
from gateway.dataplane.asgi_exchange import AsgiExchange, Message, Receive, Send
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.stepping import Stepper


def app(gw: Gateway) -> Callable[[Message, Receive, Send], Awaitable[None]]:
    """The gateway as an ASGI application."""

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"only http is served, not {scope['type']}")
        exchange = AsgiExchange(scope, gw, gw.clock.monotonic_s())
        handling = Stepper(lifecycle.run(gw, exchange), asyncio.get_running_loop())
        handling.on_end = exchange.wake
        receiving = asyncio.create_task(_receive(exchange, receive, handling))
        handling.start()
        try:
            await exchange.deliver(send, handling)
        finally:
            exchange.gone = not exchange.finished
            handling.cancel()
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)

    return application


async def _receive(exchange: Exchange, receive: Receive, handling: Stepper) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            if not exchange.finished:
                exchange.gone = True
                handling.cancel()
            return
        if exchange.failure is None and message.get("body"):
            exchange.receive(message["body"])
        if not message.get("more_body"):
            exchange.received()
