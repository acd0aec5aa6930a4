from __future__ import annotations

import msgspec

from gateway.store.content import Content, Said
from tests.support.contents import a_content


def test_content_that_an_older_version_kept_reads_with_what_is_new_at_its_default() -> None:
    columns = msgspec.to_builtins(a_content())
    columns[-1] = columns[-1][:2]
    found = msgspec.convert(columns, Content)
    assert found.answer == Said(b"an answer to that", 17, "", False)
    assert found.request == a_content().request
