import pytest

from guardrails.segments import LEAST, MOST, Segments

TEXT = (
    "A first sentence that is long enough to stand for itself, as this one does. Short. And one more that ends here!\n"
    + "no end in sight " * 60
    + "x" * (2 * MOST)
)


def _cut(pieces: list[str]) -> list[tuple[int, str]]:
    segments = Segments()
    found = [segment for piece in pieces for segment in segments.feed(piece)]
    return [*found, *segments.finish()]


def test_segments_together_are_the_text_and_end_with_sentences_or_at_the_bound() -> None:
    found = _cut([TEXT])
    assert "".join(segment for _, segment in found) == TEXT
    assert [at for at, _ in found] == [
        sum(len(segment) for _, segment in found[:number]) for number in range(len(found))
    ]
    assert found[0][1].endswith("does.")
    assert found[1][1] == " Short. And one more that ends here!\nno end in sight " or len(found[1][1]) >= LEAST
    assert all(len(segment) <= MOST for _, segment in found)


@pytest.mark.parametrize("size", [1, 7, 64, 601])
def test_segments_do_not_depend_on_the_pieces(size: int) -> None:
    assert _cut([TEXT[at : at + size] for at in range(0, len(TEXT), size)]) == _cut([TEXT])


def test_where_the_open_segment_begins_is_known() -> None:
    segments = Segments()
    (first,) = segments.feed("word " * 15 + "end. And more")
    assert segments.at == len(first[1])
    assert list(Segments().finish()) == []
