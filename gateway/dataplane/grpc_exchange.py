"""An exchange over gRPC: its answer is kept, whole. The calls that make one are in `grpc_calls`."""

from __future__ import annotations

from gateway.dataplane.exchange import Exchange


class GrpcExchange(Exchange):
    """An exchange whose answer is kept, whole."""

    status = 0
    answer_lines = b""
    answer_body = b""

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        self.started = self.finished = True
        self.answer_bytes = len(body)
        if self.tap is not None:
            self.tap.add(body)
        self.status, self.answer_lines, self.answer_body = status, headers, body

    def header(self, name: bytes) -> bytes | None:
        """A header of the answer."""
        for line in self.answer_lines.split(b"\r\n"):
            found, _, value = line.partition(b": ")
            if found == name:
                return value
        return None


class GrpcChannel:
    """gRPC has no connection to speak of."""

    date_line = b""

    @staticmethod
    def write(data: bytes) -> None:
        raise AssertionError("a call over gRPC is answered with a message, not with bytes")

    def answered(self, exchange: Exchange) -> None:
        """Nothing follows on this exchange."""

    def wants_body(self, exchange: Exchange) -> None:
        """It is there already."""
