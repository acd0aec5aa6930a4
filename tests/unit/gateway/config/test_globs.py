from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.globs import compile_globs


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("openai/*", "openai/gpt/4", "xopenai/gpt"),
        ("*", "anything/at:all", None),
        ("*-chat", "qwen-chat", "qwen-chats"),
        ("a*b*c", "axxbxbxc", "acb"),
        ("q.n", "q.n", "qwn"),
        ("a+", "a+", "aa"),
    ],
)
def test_a_star_stands_for_any_run_and_all_else_for_itself(pattern: str, fits: str, does_not: str | None) -> None:
    glob = compile_globs([pattern])
    assert glob is not None
    assert glob.fullmatch(fits)
    assert does_not is None or not glob.fullmatch(does_not)


def test_no_patterns_are_no_expression() -> None:
    assert compile_globs([]) is None


@given(st.lists(st.text("ab*", min_size=1, max_size=8), min_size=1, max_size=4), st.text("ab\n", max_size=12))
def test_it_agrees_with_the_shell(patterns: list[str], name: str) -> None:
    glob = compile_globs(patterns)
    assert glob is not None
    assert (glob.fullmatch(name) is not None) == any(fnmatchcase(name, pattern) for pattern in patterns)


def test_a_pattern_of_many_stars_takes_no_exponential_time() -> None:
    glob = compile_globs(["a*" * 60 + "b"])
    assert glob is not None
    assert not glob.fullmatch("a" * 5_000)
