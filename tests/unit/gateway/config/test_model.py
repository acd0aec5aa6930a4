from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.model import Config, Endpoint, Key, Limits, Server, Vllm
from gateway.config.units import split_address


def test_an_empty_configuration_has_the_defaults_of_the_design() -> None:
    server = Config().server
    assert server == Server()
    assert (server.bind, server.ops, server.workers) == ("127.0.0.1:8080", "127.0.0.1:8081", "auto")
    assert (server.limits.body, server.limits.header, server.limits.answer) == (20_000_000, 32_000, 64_000_000)
    assert (server.retries.attempts, server.retries.share) == (2, 0.2)
    assert split_address(server.bind) != split_address(server.ops)


def test_nothing_in_it_can_be_changed() -> None:
    with pytest.raises(AttributeError):
        Limits().body = 1  # type: ignore[misc]


def test_a_printed_backend_or_key_shows_no_secret_and_no_hash() -> None:
    backend = Vllm(endpoints=(Endpoint(url="http://a"),), api_key="hunter2")
    assert "hunter2" not in repr(backend)
    assert repr(Key(digest=b"\xaa" * 32)) == "Key(expires_s=None)"


@given(st.text(max_size=8))
def test_a_name_is_a_label_a_path_and_a_word_in_a_log_line(name: str) -> None:
    try:
        msgspec.convert({"tenants": {name: {"models": []}}}, Config)
    except msgspec.ValidationError:
        return
    assert name.isascii()
    assert name[0].isalnum()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


@pytest.mark.parametrize("name", ["acme\n", "", ".hidden", "a/b", "a" * 65, "ä", "a b", "-x"])
def test_names_that_would_break_somewhere_are_refused(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"tenants": {name: {"models": []}}}, Config)
