"""The body fields no caller may set on a vLLM server, each with the reason.

vLLM's own fields pass otherwise (`top_k`, `chat_template_kwargs`, `structured_outputs`, …); `cache_salt` passes too,
because the gateway folds the caller's into its own. The list follows `ChatCompletionRequest`, `CompletionRequest` and
the embedding requests of vLLM's OpenAI server.
"""

from __future__ import annotations

from typing import Final

from gateway.errors import InvalidRequest
from gateway.wire import body as wire_body
from gateway.wire.body import Fields

REASONS: Final = {
    "kv_transfer_params": "names KV cache blocks and the host to fetch them from: anyone's cache, any address",
    "ec_transfer_params": "the same for the encoder's cache",
    "vllm_xargs": "is merged into the engine's extra arguments, where kv_transfer_params live too, under whatever name",
    "request_id": "ids are shared by all callers of an engine: one could collide with another's running request",
    "session_id": "is shared by every request that names it, whoever sends it",
    "priority": "moves a caller ahead of all others",
    "logits_processors": "imports Python objects by name in the server (older versions)",
    "prompt_embeds": "is a tensor file the server loads; loading crafted ones has corrupted memory (CVE-2025-62164)",
    "chat_template": "is a program (Jinja) run in the server, without a bound on time or memory (CVE-2025-61620)",
    "mm_processor_kwargs": "overrides what an image may cost in tokens and memory, so that no bound on the input holds",
    "media_io_kwargs": "overrides how much of a video is decoded, with the same effect",
}

FIELDS: Final = frozenset(REASONS)

TEMPLATE_ARGUMENTS: Final = frozenset({"chat_template", "tokenize"})
"""Members of `chat_template_kwargs` that replace the template itself or how it is applied (CVE-2025-61620)."""


def refuse(fields: Fields) -> None:
    """Raises InvalidRequest naming the first field a vLLM backend must not be sent."""
    wire_body.deny(fields, FIELDS)
    if "chat_template_kwargs" in fields:
        for name in wire_body.members(fields, "chat_template_kwargs"):
            if name in TEMPLATE_ARGUMENTS:
                whole = f"chat_template_kwargs.{name}"
                raise InvalidRequest(f"the field {whole} is not accepted by this gateway", param=whole)
