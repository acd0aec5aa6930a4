from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from gateway.config import leaves
from gateway.config.leaves import Name, Section, Tokens
from gateway.config.shape import bare


def test_every_leaf_says_what_is_allowed() -> None:
    for name, leaf in vars(leaves).items():
        if get_args(leaf) and name[0].isupper():
            assert bare(leaf)[1]["allowed"], name


def test_a_section_knows_its_keys() -> None:
    class Given(Section, frozen=True, kw_only=True):
        name: Name

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"name": "a", "nme": "b"}, Given)


@pytest.mark.parametrize("count", [0, -1, 10**9 + 1])
def test_a_model_has_some_tokens(count: int) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(count, Tokens)
