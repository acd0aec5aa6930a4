from __future__ import annotations

from gateway.cli import admin_table
from gateway.cli.admin_table import Column


def test_meters_read_as_one_would_say_them() -> None:
    item = {
        "meters": [
            {"cap": "$50", "window": "month", "zone": "Europe/Berlin", "at": {"80%": "warn"}},
            {"cap": "600 requests", "window": "60s", "per": "end_user"},
            {"cap": "$9", "window": "lifetime", "at": {"50%": {"downgrade": "small"}}},
            {"cap": "40 concurrent"},
        ]
    }
    assert admin_table.meters(item).split("; ") == [
        "$50 a month (Europe/Berlin) (80%: warn)",
        "600 requests in 60s for each end user",
        "$9 in all (50%: downgrade to small)",
        "40 concurrent",
    ]
    assert admin_table.meters({"meters": []}) == "–"


def test_where_an_entry_stands_and_whether_it_is_valid() -> None:
    assert admin_table.source({"source": "files", "place": "a.yaml:9"}) == "a.yaml:9"
    assert admin_table.source({"source": "api", "place": None, "version": 3}) == "store, version 3"
    assert admin_table.state({"gone_at": "2026-11-22T10:27:41.123Z"}) == "revoked 2026-11-22 10:27:41"
    assert admin_table.state({"gone_at": None, "expires": "2999-06-30"}) == "until 2999-06-30"
    assert admin_table.state({"gone_at": None, "expires": "2020-01-01"}) == "ended 2020-01-01"
    assert admin_table.state({"gone_at": None}) == "no end"


def test_a_list_ends_with_how_many_there_are_and_where() -> None:
    assert admin_table.closing([{}], "key", "state/demo", more=False) == "1 key in state/demo"
    assert "there are more" in admin_table.closing([{}, {}], "key", "state/demo", more=True)


def test_columns_are_aligned_under_their_heads() -> None:
    columns = (Column("key", admin_table.text("name")), Column("models", admin_table.words("models", "all")))
    assert list(admin_table.table([{"name": "app", "models": ["a", "b"]}, {"name": "x"}], columns)) == [
        "key  models",
        "───  ──────",
        "app  a, b",
        "x    all",
    ]


def test_what_can_be_cut_gives_way_where_a_table_is_too_wide_and_names_never() -> None:
    columns = (
        Column("key", admin_table.text("name")),
        Column("models", admin_table.words("models"), cut=True),
        Column("meters", admin_table.text("meters"), cut=True),
    )
    head, _, line = admin_table.table([{"name": "a" * 64, "models": ["b" * 40], "meters": "$1"}], columns)
    assert line == f"{'a' * 64}  {'b' * 25}…  $1"
    assert len(line) < len(head) == admin_table.MOST_CHARS
    (*_, line) = admin_table.table([{"name": "a" * 120, "models": ["b" * 40], "meters": "$1"}], columns)
    assert line == f"{'a' * 120}  {'b' * 15}…  $1"


def test_one_thing_is_shown_without_what_it_does_not_have() -> None:
    item = {
        "name": "app",
        "created_at": "2026-11-22T10:27:41.123Z",
        "created_by": "anna",
        "changed_at": "2026-11-22T10:27:41.123Z",
        "version": 1,
    }
    assert list(admin_table.fields(item, (Column("key", admin_table.text("name")), *admin_table.STORED))) == [
        "  key         app",
        "  made (UTC)  2026-11-22 10:27:41 by anna",
    ]
