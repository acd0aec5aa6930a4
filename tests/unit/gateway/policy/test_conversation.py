"""The key of a conversation: what shares one and what does not."""

from __future__ import annotations

import json
from typing import Any

from gateway.policy.conversation import KEY_BYTES, conversation_key, names_of
from gateway.wire import chat, embeddings
from gateway.wire.call import Call

HI = {"role": "user", "content": "hi"}


def call(*messages: dict[str, str], **more: Any) -> Call:
    return chat.parse(json.dumps({"model": "m", "messages": list(messages), **more}).encode())


def key(asked: Call, header: bytes | None = None, tenant: str = "acme") -> bytes | None:
    return conversation_key(tenant, header, asked, chat.opening)


def test_the_turns_of_a_conversation_share_a_key_without_naming_it() -> None:
    first = key(call(HI))
    assert first is not None
    assert len(first) == KEY_BYTES
    assert key(call(HI, {"role": "assistant", "content": "yes?"}, {"role": "user", "content": "go on"})) == first
    assert key(call({"role": "user", "content": "ho"})) != first


def test_the_header_outranks_the_body_and_the_body_the_messages() -> None:
    named = call(HI, conversation="c1")
    assert key(named, b"h1") == key(call({"role": "user", "content": "other"}), b"h1")
    assert key(named) == key(call({"role": "user", "content": "other"}, conversation="c1"))
    assert len({key(named, b"h1"), key(named), key(call(HI))}) == 3


def test_an_empty_header_names_nothing() -> None:
    assert key(call(HI), b"") == key(call(HI))


def test_tenants_never_share_a_conversation() -> None:
    for asked, header in ((call(HI), None), (call(HI), b"h"), (call(HI, conversation="c"), None)):
        assert key(asked, header, "acme") != key(asked, header, "other")


def test_the_same_text_from_another_source_is_another_conversation() -> None:
    assert key(call(HI), b"c1") != key(call(HI, conversation="c1"))


def test_the_messages_are_read_only_when_nothing_names_the_conversation() -> None:
    def never(_: Call) -> bytes:
        raise AssertionError

    assert conversation_key("acme", b"h", call(HI), never) == key(call(HI), b"h")
    assert conversation_key("acme", None, call(HI, conversation="c"), never) is not None


def test_a_request_that_opens_with_nothing_has_no_conversation() -> None:
    embedding = embeddings.parse(b'{"model":"e","input":"x"}')
    assert conversation_key("acme", None, embedding, embeddings.opening) is None


def test_a_key_is_the_same_in_every_process() -> None:
    assert key(call(HI), b"h1") == bytes.fromhex("e07f3b11dcdb521de02e0d21083a6012")


def test_a_conversation_is_found_by_the_name_its_caller_gave_it() -> None:
    in_header, in_body = key(call(HI), b"c1"), key(call(HI, conversation="c1"))
    assert in_header is not None
    assert in_body is not None
    assert names_of("acme", "c1") == (in_header.hex(), in_body.hex())
