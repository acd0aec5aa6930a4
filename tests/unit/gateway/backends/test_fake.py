from __future__ import annotations

from pathlib import Path

import pytest

from gateway.backends.fake import main


def test_a_script_that_cannot_be_used_ends_the_server_with_the_reason(tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text("rules: [{mach: x}]")
    with pytest.raises(SystemExit, match="mach"):
        main(["--script", str(script)])


def test_a_script_that_is_not_there_ends_the_server_with_its_name() -> None:
    with pytest.raises(SystemExit, match=r"nowhere\.yaml"):
        main(["--script", "nowhere.yaml"])
