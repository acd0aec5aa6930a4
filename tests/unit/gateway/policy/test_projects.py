import msgspec
import pytest

from gateway.config.snapshot_callers import Caller
from gateway.errors import ProjectNotAllowed
from gateway.policy import projects
from tests.support.gateway import config, snapshot_of

CAP = [{"cap": "1 usd", "window": "day"}]


def caller(*names: str, may: tuple[str, ...] | None = None) -> Caller:
    found = config({"b": ["http://b"]}, meters={f"acme/project/{name}": CAP for name in names})
    one = next(each for each in snapshot_of(found).keys.values() if each.tenant.name == "acme")
    return one if may is None else msgspec.structs.replace(one, projects=may)


def test_a_request_is_booked_to_the_project_its_header_names() -> None:
    both = caller("a", "b")
    assert projects.of(both, {b"x-lockgate-project": b"b"}) == "b"
    assert projects.of(both, {b"openai-project": b"a"}) == "a"
    assert projects.of(both, {b"openai-project": b"a", b"x-lockgate-project": b"b"}) == "b"


def test_the_only_project_of_a_key_needs_no_name() -> None:
    assert projects.of(caller("a"), {}) == "a"
    assert projects.of(caller("a", "b", may=("b",)), {}) == "b"
    assert projects.of(caller("a", may=()), {}) == ""


def test_of_several_projects_one_must_be_named() -> None:
    with pytest.raises(ProjectNotAllowed, match="name one of a, b in the header x-lockgate-project"):
        projects.of(caller("a", "b"), {})


@pytest.mark.parametrize("name", [b"c", b"", b"\xff", b"A"])
def test_a_project_that_the_key_does_not_have_is_refused(name: bytes) -> None:
    with pytest.raises(ProjectNotAllowed, match=r"it may book to a$"):
        projects.of(caller("a"), {b"x-lockgate-project": name})


def test_a_tenant_without_projects_has_none_to_name() -> None:
    assert projects.of(caller(), {}) == ""
    assert projects.of(caller(), {b"openai-project": b"proj_of_openai"}) == ""
    with pytest.raises(ProjectNotAllowed, match="it has no projects: leave the header out"):
        projects.of(caller(), {b"x-lockgate-project": b"c"})
