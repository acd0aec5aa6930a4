from __future__ import annotations

from decimal import Decimal

from gateway.cli.usage_table import table
from gateway.store.usage_query import SUMS

ZERO = Decimal(0)


def row(*names: str, requests: int = 1, refused: int = 0, tokens: int = 10, cost: str = "0") -> tuple[object, ...]:
    return (*names, requests, refused, tokens, 0, tokens * 2, 0, Decimal(cost), ZERO, 0, ZERO)


def drawn(columns: tuple[str, ...], *rows: tuple[object, ...], limit: int | None = None) -> list[str]:
    return list(table((*columns, *SUMS), rows, limit))  # type: ignore[arg-type]


def test_numbers_stand_one_under_the_other_and_the_last_line_is_the_sum() -> None:
    assert drawn(
        ("tenant", "model"),
        row("acme", "small", requests=1_234_567, tokens=5, cost="12345.678"),
        row("umbrella-corporation", "", requests=3, tokens=7, cost="0.5"),
    ) == [
        "tenant                model   requests  input tokens  output tokens        cost",
        "────────────────────  ─────  ─────────  ────────────  ─────────────  ──────────",
        "acme                  small  1,234,567             5             10  $12,345.68",
        "umbrella-corporation  –              3             7             14       $0.50",
        "────────────────────  ─────  ─────────  ────────────  ─────────────  ──────────",
        "total                        1,234,570            12             24  $12,346.18",
    ]


def test_columns_of_nothing_but_zeros_are_left_out_and_zeros_are_dots() -> None:
    lines = drawn(("key",), row("a", refused=2), row("b", tokens=0))
    assert lines[0].split() == ["key", "requests", "refused", "input", "tokens", "output", "tokens", "cost"]
    assert lines[3].split() == ["b", "1", "·", "·", "·", "$0.00"]


def test_small_amounts_show_two_figures_down_to_a_nano_dollar() -> None:
    assert drawn(("key",), row("a", cost="0.0000312"), row("b", cost="2"))[2].endswith("  $0.000031")
    assert drawn(("key",), row("a", cost="0.000000001"))[2].endswith("  $0.000000001")


def test_of_many_rows_the_first_are_shown_and_all_are_summed() -> None:
    lines = drawn(("key",), *[row(f"k{number}") for number in range(10)], limit=2)
    assert [line.split()[0] for line in lines[2:4]] == ["k0", "k1"]
    assert lines[4] == "… 8 more, in the total"
    assert lines[-1].split()[:2] == ["total", "10"]


def test_a_total_alone_is_one_line() -> None:
    assert len(drawn((), row(cost="1"))) == 3


def test_long_names_are_cut_in_the_middle() -> None:
    assert drawn(("trace",), row("x" * 50 + "end"))[2].split()[0] == "x" * 20 + "…" + "x" * 16 + "end"
