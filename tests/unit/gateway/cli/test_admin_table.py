from __future__ import annotations

from gateway.cli import admin_table


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
    assert admin_table.state({"gone_at": None, "expires": "2027-06-30"}) == "until 2027-06-30"
    assert admin_table.state({"gone_at": None}) == "no end"


def test_a_list_ends_with_how_many_there_are_and_where() -> None:
    assert admin_table.closing([{}], "key", "state/demo", more=False) == "1 key in state/demo"
    assert "there are more" in admin_table.closing([{}, {}], "key", "state/demo", more=True)


def test_columns_are_aligned_under_their_heads() -> None:
    columns = (("key", admin_table.text("name")), ("models", admin_table.words("models", "all")))
    assert list(admin_table.table([{"name": "app", "models": ["a", "b"]}, {"name": "x"}], columns)) == [
        "key  models",
        "───  ──────",
        "app  a, b",
        "x    all",
    ]
