"""Any text at all: offsets that fall or lead outside, and output without bound, are what these look for."""

from __future__ import annotations

import base64
import codecs

from hypothesis import given
from hypothesis import strategies as st

from guardrails.characters import fold
from guardrails.normalise import canonical, views

TEXTS = st.text(st.characters(), max_size=60) | st.text("ab1 .%\\u00&#;аео\u200b\u0301Ａ\U000e0041", max_size=80)
ENCODINGS = st.sampled_from(
    [
        str,
        lambda text: base64.b64encode(text.encode("utf-8", "surrogatepass")).decode(),
        lambda text: text.encode("utf-8", "surrogatepass").hex(),
        lambda text: codecs.encode(text, "rot13"),
        " ".join,
        lambda text: "".join(f"\\u{min(ord(each), 0xFFFF):04x}" for each in text),
    ]
)


@given(TEXTS, ENCODINGS, ENCODINGS)
def test_offsets_never_fall_and_stay_inside(text: str, outer, inner) -> None:  # type: ignore[no-untyped-def]
    text = "x " + outer(inner(text))
    for view in views(text):
        starts, ends = list(view.map.starts), list(view.map.ends)
        assert len(starts) == len(ends) == len(view.text)
        assert starts == sorted(starts)
        assert ends == sorted(ends)
        assert all(0 <= start <= end <= len(text) for start, end in zip(starts, ends, strict=True))


@given(TEXTS)
def test_a_canonical_text_is_its_own(text: str) -> None:
    shown = canonical(text).text
    assert canonical(shown).text == shown


@given(TEXTS, st.integers(0, 60))
def test_a_fold_does_not_depend_on_where_a_text_is_cut(text: str, at: int) -> None:
    assert fold(text[:at]) + fold(text[at:]) == fold(text)
