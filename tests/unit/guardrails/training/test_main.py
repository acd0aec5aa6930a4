"""The command: what it writes into a card, and the valence of words."""

from __future__ import annotations

from zlib import crc32

import pytest

pytest.importorskip("scipy", reason="the extra `training` is absent: scipy")

from click.testing import CliRunner

from guardrails.training.__main__ import filled, main, valences


def test_figures_and_digest_of_a_card_are_replaced_and_nothing_else() -> None:
    card = "# Card\n\nText.\n\n## Figures\n\nold\n\n## Limits\n\n- one\n\nWeights: SHA-256 `old`\n"
    wanted = "# Card\n\nText.\n\n## Figures\n\nnew\n\n## Limits\n\n- one\n\nWeights: SHA-256 `d1`\n"
    assert filled(card, ["new"], "d1") == wanted
    assert filled(wanted, ["new"], "d1") == wanted


def test_words_get_a_class_of_valence_and_smileys_and_neutral_words_none() -> None:
    found = valences("awful\t-3.0\nBad\t-2.0\nmeh\t-1.0\nso\t0.1\ngood\t1.9\n:)\t2.0\nfine\t0.8")
    assert found == {
        crc32(word): n for word, n in ((b"awful", 0), (b"bad", 1), (b"meh", 2), (b"fine", 3), (b"good", 4))
    }


def test_without_the_data_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCKGATE_DEV_DATA", raising=False)
    done = CliRunner().invoke(main, ["injection"])
    assert done.exit_code == 1
    assert "LOCKGATE_DEV_DATA" in str(done.output)
