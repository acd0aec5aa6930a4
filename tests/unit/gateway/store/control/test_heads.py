from __future__ import annotations

from pathlib import Path

from gateway.policy.changes import START, Head
from gateway.store.control.heads import EVERY, FILE, Heads


def head(seq: int) -> Head:
    return Head(seq, f"{seq:064x}")


def test_every_so_many_changes_a_head_is_noted_and_the_last_one_at_the_end(tmp_path: Path) -> None:
    heads = Heads(tmp_path / FILE)
    for seq in range(1, 2 * EVERY + 6):
        heads.wrote(head(seq))
    assert heads.read() == [head(EVERY), head(2 * EVERY)]
    heads.finish()
    heads.finish()
    assert heads.read() == [head(EVERY), head(2 * EVERY), head(2 * EVERY + 5)]
    assert (tmp_path / FILE).read_text().splitlines()[0] == f"{EVERY}:{EVERY:064x}"


def test_who_changed_nothing_notes_nothing(tmp_path: Path) -> None:
    heads = Heads(tmp_path / FILE)
    heads.finish()
    heads.note(START)
    assert (heads.read(), list(tmp_path.iterdir())) == ([], [])


def test_a_line_that_was_cut_by_a_crash_costs_only_itself(tmp_path: Path) -> None:
    heads = Heads(tmp_path / FILE)
    heads.note(head(1))
    with (tmp_path / FILE).open("a") as file:
        file.write("2:00")
    heads.note(head(3))
    assert heads.read() == [head(1), head(3)]
