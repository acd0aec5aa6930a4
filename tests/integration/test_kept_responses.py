"""Answers that a backend keeps are continued where they are, by whom they were given to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.store.records import Record
from tests.support.gateway import KEY, OTHER_KEY, Running, config, post, serving
from tests.support.running import run
from tests.support.talking import LIMITS, body, error, status
from tests.support.upstream import Upstream, says, unary
from tests.support.wire_samples import SAMPLES

RESPONSE = (SAMPLES / "vllm/responses.json").read_bytes()
MODELS = {alias: {"backend": "b", "served_model": "served"} for alias in ("m", "other/m")}


def settings(*upstreams: Upstream, keeps: bool = True) -> Any:
    urls = {"b": [upstream.url for upstream in upstreams]}
    return config(urls, MODELS, backend={"keeps_responses": keeps}, limits=LIMITS)


async def ask(gateway: Running, model: str = "m", key: str = KEY, **fields: Any) -> bytes:
    return await gateway.raw(post({"model": model, "input": "hi", **fields}, path="/v1/responses", key=key))


def sent(upstream: Upstream) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(upstream.seen[-1].body)
    return found


def test_an_answer_is_continued_on_the_replica_that_keeps_it(tmp_path: Path) -> None:
    async def main() -> list[Record]:
        async with (
            Upstream([says(unary(RESPONSE))]) as one,
            Upstream([says(unary(RESPONSE))]) as two,
            serving(settings(one, two), tmp_path) as gateway,
        ):
            for number in range(6):  # of different conversations, so both are asked
                before = len(one.seen), len(two.seen)
                await ask(gateway, instructions=str(number))
                first = one if len(one.seen) > before[0] else two
                made = sent(first)
                assert "store" not in made
                for _ in range(3):
                    count = len(first.seen)
                    assert status(await ask(gateway, previous_response_id=made["request_id"])) == 200
                    assert len(first.seen) == count + 1
                    assert sent(first)["previous_response_id"] == made["request_id"] != sent(first)["request_id"]
            assert one.seen
            assert two.seen
            return gateway.records()

    records = run(main())
    assert {record.attempts[0].choice for record in records[1::4]} == {"kept"}


def test_an_id_opens_nothing_for_another_tenant_nor_does_one_that_was_made_up(tmp_path: Path) -> None:
    async def main() -> None:
        async with Upstream([says(unary(RESPONSE))]) as upstream, serving(settings(upstream), tmp_path) as gateway:
            await ask(gateway)
            given = sent(upstream)["request_id"]
            for answer in (
                await ask(gateway, "other/m", OTHER_KEY, previous_response_id=given),
                await ask(gateway, previous_response_id="resp_" + "0" * 60),
                await ask(gateway, previous_response_id=""),
            ):
                assert (status(answer), error(answer)["param"]) == (400, "previous_response_id")
            assert len(upstream.seen) == 1

    run(main())


def test_an_answer_the_server_no_longer_has_is_a_400_that_says_what_to_do(tmp_path: Path) -> None:
    async def main() -> None:
        gone = unary(b'{"error":{"message":"Response with id not found."}}', status="404 Not Found")
        async with (
            Upstream([says(unary(RESPONSE)), says(gone)]) as upstream,
            serving(settings(upstream), tmp_path) as gateway,
        ):
            await ask(gateway)
            answer = await ask(gateway, previous_response_id=sent(upstream)["request_id"])
            assert (status(answer), error(answer)["param"]) == (400, "previous_response_id")
            assert "send the whole input" in error(answer)["message"]

    run(main())


def test_a_replica_out_of_service_is_waited_for_by_nobody_and_replaced_by_none(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream([says(unary(RESPONSE))]) as one,
            Upstream([says(unary(RESPONSE))]) as two,
            serving(settings(one, two), tmp_path) as gateway,
        ):
            await ask(gateway)
            first, other = (one, two) if one.seen else (two, one)
            given = sent(first)["request_id"]
            down = gateway.gw.backends["b"].endpoints[0 if first is one else 1]
            while down.health.state == "closed":
                down.probed(False, gateway.gw.clock.monotonic_s())
            answer = await ask(gateway, previous_response_id=given)
            assert (status(answer), error(answer)["code"]) == (503, "no_endpoint")
            assert not other.seen

    run(main())


def test_where_nothing_is_kept_the_caller_is_told_so_and_the_server_not_to(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream([says(unary(RESPONSE))]) as upstream,
            serving(settings(upstream, keeps=False), tmp_path) as gateway,
        ):
            assert body(await ask(gateway)) == RESPONSE
            assert (sent(upstream)["store"], "request_id" in sent(upstream)) == (False, False)
            answer = await ask(gateway, previous_response_id="resp_1")
            assert (status(answer), error(answer)["param"]) == (400, "previous_response_id")
            assert len(upstream.seen) == 1

    run(main())
