"""The gRPC listener: calls of the Open Inference Protocol v2, each carried by one `Exchange` through the same handlers
as its HTTP form.

gRPC's own server frames and decodes nothing for us: bytes of a message in, bytes of a message out. It shares the
worker's loop; the supervisor holds the port, and every worker listens on it with SO_REUSEPORT.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio

from gateway.dataplane import lifecycle
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.grpc_exchange import GrpcChannel, GrpcExchange
from gateway.dataplane.stepping import Stepper
from gateway.errors import GatewayError, InvalidRequest
from gateway.wire.infer import grpc as infer_grpc
from gateway.wire.infer.grpc import Asked, Method
from gateway.wire.infer.request import BINARY_TYPE, HEADER_LENGTH

PASSED_ON: Final = frozenset(("authorization", "x-api-key", "x-request-id", "x-client-request-id", "traceparent"))
"""Metadata that is read, as the headers of these names are."""

_REQUEST_ID: Final = b"x-request-id"
_UNREADABLE: Final = Asked(b"POST", b"/v2/models/-/infer")


def _handler(gw: Gateway, method: Method) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def handle(sent: bytes, context: Any) -> bytes:
        ex = _exchange(gw, method, sent, context)
        await _run(gw, ex)
        request_id = ex.header(_REQUEST_ID)
        if request_id is not None:
            context.set_trailing_metadata((("x-request-id", request_id.decode("ascii")),))
        if ex.status == 503 and ex.target == b"/v2/health/ready":
            ex.status = 200  # over gRPC "not ready" is an answer
        if ex.status != 200:
            code = infer_grpc.STATUS.get(ex.status, "UNKNOWN")
            await context.abort(grpc.StatusCode[code], infer_grpc.message(ex.answer_body))
        length = ex.header(HEADER_LENGTH)
        try:
            return method.answer(ex.answer_body, None if length is None else int(length))
        except GatewayError as error:
            await context.abort(grpc.StatusCode[infer_grpc.STATUS[error.status]], error.message)
            raise

    return handle


def _exchange(gw: Gateway, method: Method, sent: bytes, context: Any) -> GrpcExchange:
    ex = GrpcExchange(GrpcChannel(), gw.clock.monotonic_s())
    ex.max_body = gw.snapshot.limits.body
    for name, value in context.invocation_metadata():
        if name in PASSED_ON:
            held, line = ex.headers.get(name.encode()), value.encode("latin-1", "replace")
            ex.headers[name.encode()] = line if held is None else held + b", " + line
    try:
        asked = method.ask(sent)
    except InvalidRequest as error:  # told by the handler, where it would read the body: after the key, and recorded
        asked = _UNREADABLE
        ex.fail(error)
    ex.method, ex.target = asked.method, asked.path
    if asked.json_length is not None:
        ex.headers[b"content-type"] = BINARY_TYPE
        ex.headers[HEADER_LENGTH] = b"%d" % asked.json_length
    if asked.body:
        ex.receive(asked.body)
    ex.received()
    return ex


async def _run(gw: Gateway, ex: GrpcExchange) -> None:
    """The handler to its end; a caller that leaves, or a server that stops, cancels it."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    handling = Stepper(lifecycle.run(gw, ex), loop)
    handling.on_end = lambda: None if ended.done() else ended.set_result(None)
    handling.start()
    try:
        await ended
    except asyncio.CancelledError:
        ex.gone = not ex.finished
        handling.cancel()
        raise


async def listen(gw: Gateway, address: str) -> tuple[grpc.aio.Server, int]:
    """A started server on `host:port`, and its port. Raises RuntimeError when it cannot listen there."""
    server = grpc.aio.server(
        options=(
            ("grpc.max_receive_message_length", gw.snapshot.limits.body),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 1),
        )
    )
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(_handler(gw, method)) for name, method in infer_grpc.METHODS.items()
    }  # of the message's bytes: unknown methods are gRPC's to refuse
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(infer_grpc.SERVICE, handlers),))
    port = server.add_insecure_port(address)
    await server.start()
    return server, port
