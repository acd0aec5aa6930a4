from __future__ import annotations

import pytest

from gateway.cli import content_words
from gateway.cli.admin_table import NOTHING
from gateway.store.content import Locked, Said
from tests.support.contents import a_content


@pytest.mark.parametrize(
    ("given", "section", "said"),
    [
        ("none", None, "—"),
        ("full", {"record": "full"}, "full, 30 days"),
        ("masked 90", {"record": "masked", "retention_days": 90}, "masked, 90 days"),
        ("full 7 ${K}", {"record": "full", "retention_days": 7, "key": "${K}"}, "full, 7 days"),
    ],
)
def test_a_policy_is_written_in_words(given: str, section: object, said: str) -> None:
    found = content_words.policy(given)
    assert found == section
    assert content_words.said(found) == (NOTHING if section is None else said)


@pytest.mark.parametrize("given", ["some", "full x", "masked 90 key", "full -1"])
def test_other_words_are_told_what_would_be_right(given: str) -> None:
    with pytest.raises(ValueError, match="masked, full or none"):
        content_words.policy(given)


def test_what_was_said_is_shown_in_100_columns_without_what_moves_a_cursor() -> None:
    body = b'{"messages": [{"role": "user", "content": "' + b"word " * 60 + b'"}]}'
    content = a_content(request=Said(body, 9_999, "application/json", True), answer=Said(b"data: \x1b[2Jhi\n", 13))
    lines = list(content_words.lines(content))
    assert lines[1] == f"request (full, 9,999 bytes, of which {len(body)} are kept)"
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in "".join(lines)
    assert lines[-1] == "  data: \ufffd[2Jhi"
    assert content_words.plain(content)["request"]["body"]["messages"][0]["role"] == "user"


def test_what_is_locked_says_why() -> None:
    assert "locked: a key is not set" in "\n".join(content_words.lines(Locked("a key is not set")))
    assert content_words.plain(Locked("why")) == {"locked": "why"}
