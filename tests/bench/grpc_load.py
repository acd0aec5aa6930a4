"""Load over gRPC, with a real client of the protocol: `python -m tests.bench.grpc_load PORT KEY REQUESTS CONNECTIONS`
asks about one customer at a time and fails on the first error.
"""

from __future__ import annotations

import asyncio
import sys

from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

from tests.bench import classic_rows
from tests.bench.lockgate import CLASSIC

DATATYPES = {"f": "FP32", "i": "INT64", "O": "BYTES"}


async def main() -> None:
    port, key, requests, callers = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    headers = {"authorization": f"Bearer {key}"}
    inputs = []
    for name, column in classic_rows.arrays(1).items():
        tensor = InferInput(name, list(column.shape), DATATYPES[column.dtype.kind])
        tensor.set_data_from_numpy(column)
        inputs.append(tensor)

    async def ask(client: InferenceServerClient) -> None:
        for _ in range(requests // callers):
            answer = await client.infer(CLASSIC, inputs, headers=headers)
            assert answer.as_numpy("left").shape == (1,)

    async with InferenceServerClient(f"127.0.0.1:{port}") as client:
        await asyncio.gather(*(ask(client) for _ in range(callers)))


if __name__ == "__main__":
    asyncio.run(main())
