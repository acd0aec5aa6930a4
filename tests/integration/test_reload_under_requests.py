"""A reload while requests run: each ends under the configuration it began with, its deadlines included."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.gateway import CHAT, STREAM, Running, backends_of, config, post, serving, snapshot_of
from tests.support.running import run, until
from tests.support.talking import body, error_frame, status
from tests.support.upstream import ANSWER, FRAMES, STREAM_HEAD, Upstream, chunk, hangs, says, unary


def move(gateway: Running, url: str) -> None:
    """Reloads: the model `m` is now served by another backend, and the first one is gone."""
    found = config({"new": [url]}, limits={"idle_s": 0.2})
    gateway.gw.reload(snapshot_of(found), backends_of(found))


def test_a_request_whose_body_was_still_coming_is_served_by_the_backend_it_began_with(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream([says(unary())]) as old,
            Upstream([says(unary(b"{}"))]) as new,
            serving(config({"old": [old.url]}), tmp_path) as gateway,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            request = post(CHAT)
            writer.write(request[:-5])
            await until(lambda: gateway.gw.in_flight == 1, "the request has begun")
            before = gateway.gw.snapshot.digest
            move(gateway, new.url)
            writer.write(request[-5:])
            assert body(await reader.read()) == ANSWER
            writer.close()
            assert (len(old.seen), len(new.seen)) == (1, 0)
            assert body(await gateway.raw(request)) == b"{}"
            assert [record.snapshot == before for record in gateway.records()] == [True, False]

    run(main())


def test_a_stream_of_a_backend_that_is_gone_from_the_configuration_still_has_its_deadlines(tmp_path: Path) -> None:
    async def main() -> bytes:
        async with (
            Upstream([hangs(STREAM_HEAD + chunk(FRAMES[0]))]) as old,
            Upstream([says(unary())]) as new,
            serving(config({"old": [old.url]}, limits={"idle_s": 0.2}), tmp_path) as gateway,
        ):
            answering = asyncio.create_task(gateway.raw(post(STREAM)))
            await until(lambda: len(old.seen) == 1, "the stream has begun")
            move(gateway, new.url)
            answer = await answering
            await old.aborted.wait()
            return answer

    answer = run(main())
    assert status(answer) == 200
    assert error_frame(answer)["code"] == "upstream_timeout"
