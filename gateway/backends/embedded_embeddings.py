"""A small embedding model beside the gateway: OpenAI's `/v1/embeddings` on ONNX Runtime (all-MiniLM-L6-v2, int8).

It answers every model name with the one model it has. Texts are never cut: one that is longer than the model reads is
refused. Inference runs in one thread, batch after batch, so that short requests pass between the batches of a long one
and `/health` stays alive.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import struct
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from gateway.backends import embedded_models, serving
from gateway.backends.serving import Receive, Scope, Send
from gateway.errors import ConfigError, InvalidRequest, MethodNotAllowed, UnknownPath, UpstreamBusy

DIMENSIONS = 384
MAX_INPUT_TOKENS = 512
MAX_INPUT_CHARS = 64 * MAX_INPUT_TOKENS  # looked at before a text is tokenised, which takes time
MAX_INPUTS = 2048  # as OpenAI
MAX_WAITING = 32
BODY_LIMIT_BYTES = 32 * 2**20
BATCH_ROWS = 32
BATCH_TOKENS = 512  # rows times the longest of them: bounds the memory of one run and how long a short request waits

Json = dict[str, Any]
T = TypeVar("T")


class Encoder:
    """The model: texts to token ids, token ids to unit vectors. Its methods block, but release the GIL meanwhile."""

    def __init__(self, model: Path, tokenizer: Path, threads: int) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its own threads would pass our bound
        import onnxruntime
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.vocabulary_size: int = self._tokenizer.get_vocab_size()
        self._begin, self._end = self._tokenizer.encode("").ids  # [CLS] and [SEP]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, with the model's begin and end tokens."""
        return [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]

    def frame(self, ids: list[int]) -> list[int]:
        """A caller's token ids with the begin and end tokens, unless they are there."""
        return ids if ids[0] == self._begin else [self._begin, *ids, self._end]

    def encode(self, rows: Sequence[list[int]]) -> list[bytes]:
        """The unit vector of each row as 384 little-endian float32: mean over the row's tokens, then normalised."""
        import numpy as np

        longest = max(len(row) for row in rows)
        ids = np.zeros((len(rows), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(None, feed)[0]
        weights = mask[:, :, None].astype(np.float32)
        vectors = (hidden * weights).sum(axis=1) / weights.sum(axis=1)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return [vector.astype("<f4").tobytes() for vector in vectors]


def parse_inputs(value: object) -> list[str] | list[list[int]]:
    """The request's `input`: texts, or lists of token ids; InvalidRequest for anything else, and for an empty one."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise InvalidRequest(
            "input must be a text, a list of texts, a list of token ids or a list of such lists", param="input"
        )
    if value and all(type(item) is int for item in value):
        value = [value]
    if not value:
        raise InvalidRequest("input is empty", param="input")
    if len(value) > MAX_INPUTS:
        raise InvalidRequest(f"input has {len(value)} entries, at most {MAX_INPUTS} are taken", param="input")
    texts = isinstance(value[0], str)
    for index, item in enumerate(value):
        fits = (
            isinstance(item, str) if texts else isinstance(item, list) and all(type(number) is int for number in item)
        )
        if not fits:
            raise InvalidRequest("input must be all texts or all lists of token ids", param=f"input[{index}]")
        if not item:
            raise InvalidRequest(f"input[{index}] is empty", param=f"input[{index}]")
    return value


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """Row numbers in groups of similar length, each within BATCH_ROWS and BATCH_TOKENS, the padding counted."""
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if not groups or len(groups[-1]) == BATCH_ROWS or (len(groups[-1]) + 1) * lengths[index] > BATCH_TOKENS:
            groups.append([])
        groups[-1].append(index)
    return groups


class Embeddings:
    """The ASGI app. At most MAX_WAITING requests wait for the one inference thread; the next is told 503."""

    def __init__(self, encoder: Encoder, name: str) -> None:
        self._encoder = encoder
        self._name = name
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await serving.told(send, self._route(scope["method"], scope["path"], receive, send))

    async def _route(self, method: str, path: str, receive: Receive, send: Send) -> None:
        model = {
            "id": self._name,
            "object": "model",
            "created": 0,
            "owned_by": "lockgate",
            "max_model_len": MAX_INPUT_TOKENS,
        }
        match path:
            case "/health":
                await serving.send_whole(send, 200, b"", "text/plain")
            case "/v1/models":
                await serving.send_json(send, {"object": "list", "data": [model]})
            case "/v1/embeddings" if method == "POST":
                await self._embeddings(receive, send)
            case "/v1/embeddings":
                raise MethodNotAllowed("only POST is answered here", headers=(("allow", "POST"),))
            case _:
                raise UnknownPath(f"nothing at {path}")

    async def _embeddings(self, receive: Receive, send: Send) -> None:
        request = serving.decode_object(await serving.read_body(receive, BODY_LIMIT_BYTES))
        if not isinstance(request.get("model"), str):
            raise InvalidRequest("model must be a text", param="model")
        form = request.get("encoding_format") or "float"
        if form not in ("float", "base64"):
            raise InvalidRequest("encoding_format must be float or base64", param="encoding_format")
        if request.get("dimensions") not in (None, DIMENSIONS):
            message = f"this model has {DIMENSIONS} dimensions and was not trained to be cut to fewer"
            raise InvalidRequest(message, param="dimensions")
        inputs = parse_inputs(request.get("input"))
        if self._waiting >= MAX_WAITING:
            raise UpstreamBusy("too many requests wait for the embedding model", headers=(("retry-after", "1"),))
        self._waiting += 1
        try:
            await serving.unless_gone(receive, self._answer(inputs, form, send))
        finally:
            self._waiting -= 1

    async def _answer(self, inputs: list[str] | list[list[int]], form: str, send: Send) -> None:
        rows: list[list[int]] = []
        for start in range(0, len(inputs), BATCH_ROWS):
            rows += await self._in_thread(partial(self._rows, inputs[start : start + BATCH_ROWS], start))
        vectors = [b""] * len(rows)
        for group in batches([len(row) for row in rows]):
            chosen = [rows[index] for index in group]
            encoded = await self._in_thread(partial(self._encoder.encode, chosen))
            for index, vector in zip(group, encoded, strict=True):
                vectors[index] = vector
        tokens = sum(len(row) for row in rows)
        data = [{"object": "embedding", "index": i, "embedding": _shown(v, form)} for i, v in enumerate(vectors)]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        await serving.send_json(send, {"object": "list", "data": data, "model": self._name, "usage": usage})

    def _rows(self, inputs: list[str] | list[list[int]], first: int) -> list[list[int]]:
        """Token ids of inputs; InvalidRequest for one that is too long or not of this vocabulary."""
        rows: list[list[int]] = []
        for index, item in enumerate(inputs, first):
            if len(item) > MAX_INPUT_CHARS:
                message = f"input[{index}] is longer than {MAX_INPUT_CHARS} characters"
                raise InvalidRequest(message, param=f"input[{index}]")
            if isinstance(item, list):
                if not all(0 <= number < self._encoder.vocabulary_size for number in item):
                    message = f"token ids must be of this model's vocabulary, 0 to {self._encoder.vocabulary_size - 1}"
                    raise InvalidRequest(message, param=f"input[{index}]")
                rows.append(self._encoder.frame(item))
        rows = rows or self._encoder.tokenise([item for item in inputs if isinstance(item, str)])
        for index, row in enumerate(rows, first):
            if len(row) > MAX_INPUT_TOKENS:
                message = f"input[{index}] has {len(row)} tokens, this model reads at most {MAX_INPUT_TOKENS}"
                raise InvalidRequest(message, param=f"input[{index}]")
        return rows

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _shown(vector: bytes, form: str) -> str | list[float]:
    if form == "base64":
        return base64.b64encode(vector).decode()
    return list(struct.unpack(f"<{DIMENSIONS}f", vector))


def main(arguments: list[str] | None = None) -> None:
    """Serves until SIGTERM, or until the parent ends; exit code 1 and a message when the model cannot be served."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway.backends.embedded_embeddings", description=(__doc__ or "").split("\n")[0]
    )
    serving.add_address_options(parser)
    parser.add_argument("--model", default="minilm", help="minilm")
    parser.add_argument("--served-name", help="the model's name in answers (default: its own)")
    parser.add_argument("--threads", type=int, default=1, choices=(1, 2), help="threads that compute (default 1)")
    args = parser.parse_args(arguments)
    try:
        if embedded_models.kind_of(args.model) != "embeddings":
            raise ConfigError(f"{args.model} is not an embedding model")
        model, tokenizer = embedded_models.files_of(args.model)
    except ConfigError as exc:
        sys.exit(str(exc))
    encoder = Encoder(model, tokenizer, args.threads)
    serving.run(Embeddings(encoder, args.served_name or embedded_models.served_name(args.model)), args)


if __name__ == "__main__":
    main()
