from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.offload import frames
from gateway.offload.frames import Answer, Broken, Frames, Question, framed, packed, unpacked

TEXTS = st.text(alphabet=st.characters(codec=None))


@given(st.lists(TEXTS, max_size=5), st.lists(st.integers(1, 40), max_size=20))
def test_questions_come_as_they_were_asked_however_their_bytes_are_cut(texts: list[str], cuts: list[int]) -> None:
    asked = [Question(number, "classifier", "injection", packed(text), 1.5) for number, text in enumerate(texts)]
    data = b"".join(framed(each) for each in asked)
    cutter = Frames()
    came: list[bytes] = []
    for cut in cuts:
        came += cutter.feed(data[:cut])
        data = data[cut:]
    came += cutter.feed(data)
    found = [frames.question(frame) for frame in came]
    assert found == asked
    assert [unpacked(each.text) for each in found] == texts


@pytest.mark.parametrize("value", [0.25, [[0, 4, "PERSON", 0.9]], None])
def test_an_answer_comes_as_it_was_given(value: object) -> None:
    (frame,) = Frames().feed(framed(Answer(3, value)))
    assert frames.answer(frame) == Answer(3, value)


def test_a_frame_that_is_too_long_is_refused_by_its_first_four_bytes() -> None:
    assert Frames(10).feed(b"\0\0\0\x0a" + b"x" * 10) == [b"x" * 10]
    with pytest.raises(Broken, match="a frame of 11 bytes; at most 10"):
        Frames(10).feed(b"\0\0\0\x0b")


@pytest.mark.parametrize(
    "frame", [b"", b"\xc1", b"\x91\x01", b"\x95\x01\x01\x01\x01\x01", b"\xa1\xff", b"\x91" * 5_000]
)
def test_a_frame_that_says_nothing_is_broken(frame: bytes) -> None:
    with pytest.raises(Broken):
        frames.question(frame)


def test_a_text_that_is_no_utf_8_is_broken() -> None:
    with pytest.raises(Broken):
        unpacked(b"\xff")
