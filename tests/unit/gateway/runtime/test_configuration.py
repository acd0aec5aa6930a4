"""gateway.runtime.configuration"""

from __future__ import annotations

from pathlib import Path

from gateway.config.model import Config, Limits, Overrides, Server
from gateway.config.model_meters import Stores
from gateway.runtime.configuration import fixed_at_start, read


def test_only_what_is_made_once_takes_a_restart() -> None:
    old = Config(server=Server(bind="127.0.0.1:1", workers=2))
    assert fixed_at_start(old, Config(server=Server(bind="127.0.0.1:1", workers=2, limits=Limits(drain_s=1.0)))) == []
    new = Config(
        server=Server(bind="127.0.0.1:2", ops="127.0.0.1:3", state_dir="/s"),
        stores=Stores(meters="redis://127.0.0.1:6379/0", control="postgresql://h/d"),
    )
    assert fixed_at_start(old, new) == ["bind", "ops", "workers", "state_dir", "stores.meters", "stores.control"]


def test_what_the_files_say_does_not_depend_on_how_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("server: {workers: 2}\n")
    before = read(tmp_path, Overrides())
    (tmp_path / "a.yaml").write_text("server:\n  # two\n  workers: 2\n")
    assert read(tmp_path, Overrides()).config == before.config
    assert read(tmp_path, Overrides(workers=3)).config != before.config
