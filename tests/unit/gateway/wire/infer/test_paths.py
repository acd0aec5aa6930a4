from __future__ import annotations

import pytest

from gateway.wire.infer import paths as infer_paths
from gateway.wire.infer.paths import Action, Target


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (b"/v2/models/churn", Target("churn", "", "metadata")),
        (b"/v2/models/churn/ready", Target("churn", "", "ready")),
        (b"/v2/models/churn/infer", Target("churn", "", "infer")),
        (b"/v2/models/churn/versions/3", Target("churn", "3", "metadata")),
        (b"/v2/models/churn/versions/3/infer", Target("churn", "3", "infer")),
        (b"/v2/models/team/churn/versions/3/ready", Target("team/churn", "3", "ready")),
        (b"/v2/models/team%2Fchurn%3a1/infer", Target("team/churn:1", "", "infer")),
        (b"/v2/models/a%2Fversions%2F3", Target("a/versions/3", "", "metadata")),
        (b"/v2/models/a/versions/1/versions/2", Target("a/versions/1", "2", "metadata")),
        (b"/v2/models/a%2Finfer/infer", Target("a/infer", "", "infer")),
    ],
)
def test_a_path_is_read_from_its_end(path: bytes, target: Target) -> None:
    assert infer_paths.target(path) == target


@pytest.mark.parametrize("path", [b"/v2/models/", b"/v2/models//infer", b"/v2/models/%ff"])
def test_a_path_that_names_no_model_is_none(path: bytes) -> None:
    found = infer_paths.target(path)
    assert found is None or found.alias.startswith("/")


@pytest.mark.parametrize("action", ["infer", "ready", "metadata"])
@pytest.mark.parametrize("name", ["churn", "team/churn", "ä b%/infer", "a?b#c"])
@pytest.mark.parametrize("version", ["", "3", "a/b"])
def test_a_path_that_we_write_reads_as_what_it_was_made_of(name: str, version: str, action: Action) -> None:
    path = infer_paths.path(name, version, action)
    assert infer_paths.target(path) == Target(name, version, action)
    assert path.isascii()
    assert not set(path) & set(b"?# ")
