from __future__ import annotations

import contextlib
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.offload.frames import Question, packed
from gateway.offload.lanes import Unanswered
from gateway.offload.webhooks import Hook, Webhooks, signature

SECRET = "a secret of both"
PATIENT_S = 60.0


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers what the server's `answers` says, and keeps what came."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.came.append((self.path, dict(self.headers), body))  # type: ignore[attr-defined]
        self.server.answers(self)  # type: ignore[attr-defined]

    do_GET = do_POST  # noqa: N815 (the server calls it so)

    def log_message(self, *args: Any) -> None:
        pass


Came = list[tuple[str, dict[str, str], bytes]]


@contextlib.contextmanager
def receiver(answers: Callable[[Any], None]) -> Iterator[tuple[str, Came]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    came: Came = []
    server.answers, server.came = answers, came  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", came
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def says(body: bytes, status: int = 200, **headers: str) -> Callable[[Any], None]:
    def answer(handler: Any) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def ask(url: str, text: str = "the text", left_s: float = PATIENT_S, name: str = "own") -> object:
    hooks = Webhooks({"own": Hook(url, SECRET)})
    return hooks.answer(Question(1, "webhook", name, packed(text), time.monotonic() + left_s))


def test_a_webhook_gets_the_text_signed_and_gives_a_score() -> None:
    with receiver(says(b'{"score": 0.25, "why": "more than is read"}')) as (url, came):
        assert ask(url + "/judge?version=2") == 0.25
    ((path, headers, body),) = came
    assert path == "/judge?version=2"
    assert json.loads(body) == {"check": "own", "text": "the text"}
    timestamp = int(headers["lockgate-timestamp"])
    assert abs(timestamp - time.time()) < 600
    assert headers["lockgate-signature"] == signature(SECRET, timestamp, body)


def test_the_signature_is_the_hmac_of_timestamp_dot_body() -> None:
    # printf '1795363200.{}' | openssl dgst -sha256 -hmac 'a secret of both'
    expected = "v1=c1134d7142bd106f395ae468399cd07c85f9e1c934846ae03a6e6b79da0aef69"
    assert signature(SECRET, 1_795_363_200, b"{}") == expected


@pytest.mark.parametrize(
    "answer",
    [
        says(b'{"score": 1.5}'),
        says(b'{"score": -0.1}'),
        says(b'{"score": NaN}'),
        says(b'{"score": "high"}'),
        says(b"{}"),
        says(b"no JSON"),
        says(b""),
        says(b"\xff"),
        says(b'{"score": 0}' + b" " * (1 << 20)),
        says(b'{"score": 0}', 500),
        says(b'{"score": 0}', 201),
        lambda handler: handler.wfile.write(b"nonsense\r\n\r\n"),
        lambda handler: None,
    ],
)
def test_what_is_no_score_is_no_answer(answer: Callable[[Any], None]) -> None:
    with receiver(answer) as (url, _), pytest.raises(Unanswered, match="unavailable"):
        ask(url)


def test_a_redirect_is_not_followed() -> None:
    with receiver(says(b'{"score": 0}')) as (elsewhere, seen):
        with receiver(says(b"", 307, location=elsewhere)) as (url, came), pytest.raises(Unanswered):
            ask(url)
        assert (len(came), seen) == (1, [])


def test_a_webhook_that_nobody_configured_or_that_is_not_there_is_no_answer() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        for address, name in ((url, "own"), (url, "other"), ("http://127.0.0.1:99999", "own")):
            with pytest.raises(Unanswered, match="unavailable"):
                ask(address, name=name)


def test_a_receiver_that_says_a_byte_now_and_then_is_left_at_the_deadline() -> None:
    ended = threading.Event()

    def drip(handler: Any) -> None:
        with contextlib.suppress(OSError):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not ended.wait(0.05):
                handler.wfile.write(b"x: y\r\n")

    with receiver(drip) as (url, _):
        try:
            with pytest.raises(Unanswered, match="late"):
                ask(url, left_s=0.5)
        finally:
            ended.set()


def test_a_silent_receiver_is_left_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(Unanswered, match="late"):
        ask(f"http://127.0.0.1:{server.getsockname()[1]}", left_s=0.2)


def test_a_lone_surrogate_reaches_the_receiver_as_json_that_everyone_reads() -> None:
    with receiver(says(b'{"score": 1}')) as (url, came):
        assert ask(url, "a\ud800b") == 1
    text = json.loads(came[0][2].decode("utf-8"))["text"]
    assert text.strip("ab") == "\ufffd" * len(text.strip("ab"))
    assert text[0] + text[-1] == "ab"
