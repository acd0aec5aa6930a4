from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.fake_tokens import BLOCK_TOKENS, PrefixCache, text_of, token_id, tokenise

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


@given(TEXT)
def test_tokens_join_to_the_text_and_none_is_longer_than_four_bytes(text: str) -> None:
    tokens = tokenise(text)
    assert "".join(tokens) == text
    assert all(1 <= len(token.encode()) <= 4 for token in tokens)


@given(TEXT)
def test_token_ids_turn_back_into_the_text(text: str) -> None:
    assert text_of([token_id(token) for token in tokenise(text)]) == text


def test_ids_of_another_tokeniser_become_readable_text_and_not_an_error() -> None:
    assert text_of([0, 15339, -3, token_id("ab"), 0x01FF]) == "<0><15339><-3>ab<511>"


def test_a_prompt_seen_before_is_cached_but_for_its_last_block() -> None:
    cache = PrefixCache(capacity_blocks=100)
    prompt = tokenise("x" * 4 * BLOCK_TOKENS * 3)
    assert cache.admit(prompt) == 0
    assert cache.admit(prompt) == 2 * BLOCK_TOKENS  # the last token is always computed
    assert cache.admit([*prompt, "y"]) == 3 * BLOCK_TOKENS


def test_a_longer_conversation_finds_the_blocks_of_the_shorter_one() -> None:
    cache = PrefixCache(capacity_blocks=100)
    short = [f"{n:04}" for n in range(40)]
    cache.admit(short)
    assert cache.admit([*short, *short]) == 2 * BLOCK_TOKENS


def test_the_same_block_behind_another_beginning_is_not_a_hit() -> None:
    cache = PrefixCache(capacity_blocks=100)
    same = ["same"] * BLOCK_TOKENS
    cache.admit([*(["left"] * BLOCK_TOKENS), *same, "end"])
    assert cache.admit([*(["rite"] * BLOCK_TOKENS), *same, "end"]) == 0


def test_another_salt_sees_nothing_of_the_first_ones_prompts() -> None:
    cache = PrefixCache(capacity_blocks=100)
    prompt = ["same"] * 40
    cache.admit(prompt, salt="acme")
    assert cache.admit(prompt, salt="globex") == 0
    assert cache.admit(prompt, salt="acme") == 2 * BLOCK_TOKENS


def test_the_cache_never_holds_more_blocks_than_it_was_given_and_drops_the_oldest() -> None:
    cache = PrefixCache(capacity_blocks=4)
    old, new = ["aaaa"] * 33, ["bbbb"] * 65
    cache.admit(old)
    cache.admit(new)
    assert len(cache) == 4
    assert cache.admit(old) == 0
