from __future__ import annotations

import pytest

from gateway.wire.running_frames import Choice, Frame, read, said_bytes


def test_a_frame_is_read_and_what_is_none_is_an_empty_one() -> None:
    frame = read(b'{"id":"c","model":"m","created":7,"choices":[{"index":1,"delta":{"content":"a"}}],"more":1}')
    assert (frame.id, frame.model, frame.created) == ("c", "m", 7)
    assert frame.choices == [Choice(1, {"content": "a"})]
    for wrong in (b"", b"[DONE]", b'{"id":7}', b"\xff", b"[" * 100_000):
        assert read(wrong) == Frame()


@pytest.mark.parametrize(
    ("choice", "size"),
    [
        (Choice(), 0),
        (Choice(text="gr\u00fc\u00dfe"), 7),
        (Choice(delta={"role": "assistant", "content": ""}), 0),
        (Choice(delta={"content": "abc", "reasoning_content": "de", "refusal": None}), 5),
        (Choice(delta={"tool_calls": [{"a": 1}]}), len('[{"a":1}]')),
    ],
)
def test_what_a_choice_says_is_counted_in_bytes(choice: Choice, size: int) -> None:
    assert said_bytes(choice) == size
