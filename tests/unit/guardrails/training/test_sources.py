"""The data: only the files that the manifest means, with a licence for each source."""

from __future__ import annotations

from pathlib import Path

import pytest

from guardrails.training import sources


def test_another_file_under_the_same_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "guardrails").mkdir()
    (tmp_path / "guardrails" / "toxicity_dev.jsonl").write_text('{"text": "x"}\n')
    with pytest.raises(ValueError, match="SHA-256 differs"):
        sources.toxicity(tmp_path)


def test_every_source_says_where_it_is_from_and_what_permits_its_use() -> None:
    for source in sources.manifest()["source"]:
        assert source["from"]
        assert "MIT" in source["licence"] or "Apache-2.0" in source["licence"]
