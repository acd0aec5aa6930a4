"""A gateway in front of a server that it takes for one that speaks chat completions only: so it must translate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from gateway.backends.base import DIALECTS
from tests.contract.asking import Target
from tests.support import gateway as in_process
from tests.support import running, vllm


@asynccontextmanager
async def translating(
    url: str, api_key: str | None, state_dir: Path, **limits: float
) -> AsyncIterator[in_process.Running]:
    """The gateway, in this process; its model `m` is the one at `url`, named as our vLLM names its own."""
    models = {"m": {"backend": "b", "served_model": vllm.MODEL}}
    found = in_process.config({"b": [url]}, models, limits=limits)
    found.backends["b"] = msgspec.structs.replace(found.backends["b"], api_key=api_key)
    async with in_process.serving(found, state_dir) as gateway:
        dialect = gateway.gw.backends["b"].dialect
        gateway.gw.backends["b"].dialect = replace(dialect, speaks=DIALECTS["fake"].speaks)
        yield gateway


def translated(direct: Target, ask: Callable[[Target], Any], state_dir: Path) -> Any:
    """What `ask` gets from this server (our vLLM) through such a gateway."""

    async def main() -> Any:
        async with translating(direct.base_url.removesuffix("/v1"), vllm.API_KEY, state_dir) as gateway:
            through = replace(direct, base_url=f"{gateway.url}/v1", key=in_process.KEY, model="m", other_model="m")
            return await asyncio.to_thread(ask, through)

    return running.run(main())
