"""gateway.config.emit"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.config.emit import yaml_text
from gateway.config.nodes import Node, from_yaml

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20) | st.sampled_from(
    ["no", "12:30", "1e3", "0x10", "~", "null", "a: b", "#x", "- x", "${NAME}", "<<", "*", "&a", "!t", "01"]
)
LEAVES = TEXTS | st.integers(-(10**15), 10**15) | st.booleans() | st.none()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)


def plain(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {key: plain(value) for key, value in node.value.items()}
    return [plain(item) for item in node.value] if isinstance(node.value, list) else node.value


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4))
def test_what_is_written_is_read_back_the_same(sections: dict[str, Any]) -> None:
    assert plain(from_yaml(yaml_text(sections), "f")) == sections


def test_it_reads_as_a_person_would_write_it() -> None:
    sections = {"models": {"small": {"backend": "gpu", "served_model": "Qwen/Qwen3-8B"}}, "server": {}}
    assert yaml_text(sections) == "models:\n  small: {backend: gpu, served_model: Qwen/Qwen3-8B}\nserver: {}\n"
