"""The opening of a conversation, for any messages and any way of writing them down."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import chat

texts = st.text(st.sampled_from('"\\{}[],:ab\n é'), max_size=12)
contents = st.recursive(
    st.one_of(st.none(), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["role", "x"]), inner, max_size=2)
    ),
    max_leaves=6,
)
roles = st.sampled_from(["system", "user", "assistant"])
messages = st.one_of(
    st.fixed_dictionaries({"role": roles, "content": contents}),
    st.fixed_dictionaries({"content": contents, "role": roles}),
    contents,
)


@given(st.lists(messages, min_size=1, max_size=6), st.sampled_from([None, 1]), st.booleans())
def test_an_opening_ends_with_the_first_message_of_the_user(
    said: list[Any], indent: int | None, ascii_only: bool
) -> None:
    body = json.dumps({"messages": said, "model": "m"}, indent=indent, ensure_ascii=ascii_only).encode()
    opening = chat.opening(chat.parse(body))
    users = [at for at, message in enumerate(said) if isinstance(message, dict) and message.get("role") == "user"]
    assert opening in body
    if users:
        assert json.loads(opening + b"]") == said[: users[0] + 1]
    else:
        assert json.loads(opening) == said
