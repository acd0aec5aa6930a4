"""The fake server's tokens and its simulated prefix cache: simple rules, honestly counted, the same on every machine.

A token is at most four bytes of UTF-8 and never half a character. Its id holds its bytes: ids turn back into text.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence

TOKEN_BYTES = 4
BLOCK_TOKENS = 16


def tokenise(text: str) -> list[str]:
    """The tokens of `text`, in order: `"".join(tokenise(text)) == text`."""
    if text.isascii():
        return [text[i : i + TOKEN_BYTES] for i in range(0, len(text), TOKEN_BYTES)]
    tokens: list[str] = []
    start = size = 0
    for position, character in enumerate(text):
        width = len(character.encode("utf-8", "surrogatepass"))
        if size + width > TOKEN_BYTES:
            tokens.append(text[start:position])
            start, size = position, 0
        size += width
    tokens.append(text[start:])
    return tokens


def token_id(token: str) -> int:
    """A positive id below 2**33 that holds the token's bytes behind a leading one."""
    return int.from_bytes(b"\x01" + token.encode("utf-8", "surrogatepass"), "big")


def text_of(ids: Iterable[int]) -> str:
    """The text of token ids; an id that `token_id` did not make becomes `<id>`."""
    parts: list[str] = []
    for number in ids:
        raw = number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big") if number > 0 else b""
        try:
            parts.append(raw[1:].decode() if raw[:1] == b"\x01" else f"<{number}>")
        except UnicodeDecodeError:
            parts.append(f"<{number}>")
    return "".join(parts)


class PrefixCache:
    """Which blocks of 16 tokens a server has seen, as in vLLM: full blocks only, chained, least recently used out.

    `salt` separates callers, and the last token of a prompt is always computed, never taken from the cache.
    """

    def __init__(self, capacity_blocks: int) -> None:
        self.capacity_blocks = capacity_blocks
        self.queried_tokens = 0
        self.hit_tokens = 0
        self._blocks: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blocks)

    def admit(self, tokens: Sequence[str], salt: str = "") -> int:
        """Looks `tokens` up and keeps their blocks; how many of them were there already, a multiple of 16."""
        self.queried_tokens += len(tokens)
        chain = hashlib.blake2b(salt.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        cached = 0
        hitting = True
        for start in range(0, len(tokens) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
            block = "".join(tokens[start : start + BLOCK_TOKENS]).encode("utf-8", "surrogatepass")
            chain = hashlib.blake2b(chain + block, digest_size=16).digest()
            hitting = hitting and chain in self._blocks and start + BLOCK_TOKENS < len(tokens)
            if hitting:
                cached += BLOCK_TOKENS
            self._blocks[chain] = None
            self._blocks.move_to_end(chain)
        while len(self._blocks) > self.capacity_blocks:
            self._blocks.popitem(last=False)
        self.hit_tokens += cached
        return cached
