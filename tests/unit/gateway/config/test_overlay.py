from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given

from gateway.config import overlay, patches, review
from gateway.config.entries import Entry, EntryId
from gateway.config.model import Config, Endpoint, Key, Model, PreviousKey, Tenant, Vllm
from gateway.config.model_meters import Downgrade, MeterEntry, Project
from gateway.config.overlay import EndpointState, Overlay, Piece
from gateway.config.shape import dotted
from gateway.errors import ConfigError
from tests.support.configurations import configs

HASH = "sha256:" + "ab" * 32
KEY = Key(digest=b"\xab" * 32)
DOLLAR = MeterEntry(cap="1000000000 usd", window="day")
BEFORE = PreviousKey(digest=b"\xab" * 32, expires_s=9)
FILES = Config(
    backends={"b": Vllm(endpoints=(Endpoint(url="http://a:1"), Endpoint(url="http://b:1", drained=True)))},
    models={"m": Model(backend="b")},
    tenants={"acme": Tenant(models=("m",), keys={"app": Key(digest=b"1" * 32)}, projects={"p": Project()})},
)
ACME_KEY = EntryId("key", "acme", "new")
GLOBEX = EntryId("tenant", "", "globex")
GLOBEX_KEY = EntryId("key", "globex", "app")
DRAIN = EntryId("endpoint", "", "b http://a:1")


def lay(*pieces: tuple[EntryId, Piece | None], files: Config = FILES) -> Config:
    found = overlay.with_pieces(Overlay(), pieces)
    return overlay.laid(files, found, found.tenants, on=files)


@pytest.mark.parametrize(
    ("kind", "document", "section"),
    [
        ("tenant", {"models": ["*"], "meters": []}, Tenant(models=("*",))),
        ("project", {"meters": [{"cap": "$1", "window": "day"}]}, Project(meters=(DOLLAR,))),
        ("project", {}, Project()),
        ("key", {"hash": HASH}, KEY),
        ("key", {"hash": HASH, "expires": "2027-06-30", "models": ["m"], "projects": ["p"], "meters": [],
                 "previous": {"hash": HASH, "expires": "1970-01-01T00:00:09Z"}},
         Key(digest=b"\xab" * 32, expires_s=1814400000, models=("m",), projects=("p",), previous=BEFORE)),
        ("endpoint", {"drained": True}, EndpointState(drained=True)),
    ],
)  # fmt: skip
def test_an_entry_is_written_as_the_section_of_a_file(kind: Any, document: Any, section: Piece) -> None:
    assert overlay.section_of(kind, json.dumps(document).encode(), {}) == section


@pytest.mark.parametrize(
    ("kind", "document", "told"),
    [
        ("key", b'{"hash": "hunter2-hunter2-hunter2"}', "hash: this is not a hash and may be the secret itself"),
        ("key", b"{}", "the key hash is missing"),
        ("key", b'{"hash": "%b", "hash": "%b"}' % (HASH.encode(), HASH.encode()), 'the key "hash" is there twice'),
        ("key", b'{"hash": "%b", "expirs": 1}' % HASH.encode(), "expirs: unknown key; did you mean expires"),
        ("project", b'{"meters": [{"cap": "5 apples"}]}', "meters[0].cap: "),
        ("tenant", b'{"models": ["${X}"]}', "models[0]: a reference to the environment"),
        ("tenant", b'{"models": [], "keys": {}}', "keys: a tenant's keys and projects are entries of their own"),
        ("endpoint", b"[]", "expected a map"),
        ("endpoint", b"nonsense", "not JSON"),
        ("endpoint", b'"\xff"', "not UTF-8"),
    ],
)
def test_what_is_wrong_in_a_document_is_told_as_of_a_file(kind: Any, document: bytes, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        overlay.section_of(kind, document, {})
    assert str(refused.value).startswith(told)
    assert "hunter2" not in str(refused.value)


def test_all_that_is_wrong_in_a_document_is_told() -> None:
    with pytest.raises(ConfigError) as refused:
        overlay.section_of("tenant", b'{"models": [5], "meters": [{"window": "x"}]}', {})
    assert [line.partition(":")[0] for line in str(refused.value).splitlines()] == [
        "models[0]", "meters[0]", "meters[0].window",
    ]  # fmt: skip


def test_entries_add_to_tenants_of_files_and_make_their_own() -> None:
    found = lay(
        (ACME_KEY, KEY),
        (GLOBEX, Tenant(models=("*",))),
        (GLOBEX_KEY, KEY),
        (EntryId("project", "acme", "q"), Project()),
    )
    assert found.tenants["acme"] == Tenant(
        models=("m",), keys={**FILES.tenants["acme"].keys, "new": KEY}, projects={"p": Project(), "q": Project()}
    )
    assert found.tenants["globex"] == Tenant(models=("*",), keys={"app": KEY})
    assert lay() == FILES


def test_an_entry_that_is_gone_leaves_what_the_files_say() -> None:
    full = overlay.with_pieces(
        Overlay(),
        [(ACME_KEY, KEY), (GLOBEX, Tenant(models=())), (GLOBEX_KEY, KEY), (DRAIN, EndpointState(drained=True))],
    )
    laid = overlay.laid(FILES, full, full.tenants, on=FILES)
    empty = overlay.with_pieces(full, [(ACME_KEY, None), (GLOBEX, None), (GLOBEX_KEY, None), (DRAIN, None)])
    assert empty == Overlay()
    assert overlay.laid(FILES, empty, full.tenants, on=laid) == FILES
    assert ACME_KEY.name in full.tenants["acme"].keys  # the overlay before is as it was


def test_an_entry_without_its_tenant_waits_for_it() -> None:
    waits: list[tuple[EntryId, Piece | None]] = [
        (GLOBEX_KEY, KEY),
        (EntryId("project", "globex", "p"), Project()),
        (EntryId("endpoint", "", "b http://c:1"), EndpointState(drained=True)),
    ]
    found = overlay.with_pieces(Overlay(), waits)
    laid = overlay.laid(FILES, found, found.tenants, on=FILES)
    assert laid == FILES
    assert set(overlay.waiting(laid, found)) == {of for of, _ in waits}
    there = overlay.with_pieces(found, [(GLOBEX, Tenant(models=()))])
    laid = overlay.laid(FILES, there, ["globex"], on=laid)
    assert laid.tenants["globex"].keys == {"app": KEY}
    assert list(overlay.waiting(laid, there)) == [waits[2][0]]


def test_an_operators_drain_is_laid_over_the_files_own() -> None:
    def drained(*pieces: tuple[EntryId, Piece | None]) -> list[bool]:
        backend = lay(*pieces).backends["b"]
        assert isinstance(backend, Vllm)
        return [end.drained for end in backend.endpoints]

    assert drained() == [False, True]
    assert drained((DRAIN, EndpointState(drained=True))) == [True, True]
    assert drained((DRAIN, EndpointState(drained=True)), (DRAIN, EndpointState(drained=False))) == [False, True]
    assert drained((EntryId("endpoint", "", "b http://b:1"), EndpointState(drained=False))) == [False, True]


def test_what_is_in_both_is_found() -> None:
    taken = [EntryId("tenant", "", "acme"), EntryId("project", "acme", "p"), EntryId("key", "acme", "app")]
    pieces: list[Piece] = [Tenant(models=()), Project(), KEY]
    found = overlay.with_pieces(
        Overlay(), [*zip(taken, pieces, strict=True), (ACME_KEY, KEY), (GLOBEX, Tenant(models=()))]
    )
    assert list(overlay.in_both(FILES, found, found.tenants)) == taken


def problems(*pieces: tuple[EntryId, Piece | None], files: Config = FILES) -> list[str]:
    """Those of one change, checked to be those of the whole."""
    new = lay(*pieces, files=files)
    changes = patches.between(files, new)
    assert changes is not None
    hashes = {digest: path for path, digest in review.hashes(files.tenants)}
    found = [f"{dotted(each.path)}: {each.message}" for each in overlay.problems(new, changes, hashes)]
    assert bool(found) == bool(list(review.problems(new)))
    return found


def test_what_entries_contradict_is_found_without_looking_at_everything() -> None:
    meter = MeterEntry(cap="5 requests", window="60s", at={"500": Downgrade(downgrade="gone")})
    assert problems((ACME_KEY, KEY)) == []
    assert problems((ACME_KEY, Key(digest=b"2" * 32, projects=("gone",))))[0].startswith(
        "tenants.acme.keys.new.projects[0]: this tenant has no project"
    )
    assert problems((ACME_KEY, Key(digest=b"2" * 32, meters=(meter,))))[0].startswith(
        "tenants.acme.keys.new.meters[0].at"
    )
    same = "two keys have the same hash: one secret opens one key"
    assert problems((ACME_KEY, Key(digest=b"1" * 32))) == [f"tenants.acme.keys.new.hash: {same}"]
    before = PreviousKey(digest=b"1" * 32, expires_s=9)
    assert problems((ACME_KEY, Key(digest=b"2" * 32, previous=before))) == [
        f"tenants.acme.keys.new.previous.hash: {same}"
    ]
    assert problems((ACME_KEY, KEY), (GLOBEX, Tenant(models=())), (GLOBEX_KEY, KEY)) == [
        f"tenants.globex.keys.app.hash: {same}"
    ]


def test_a_project_cannot_go_while_a_key_that_did_not_change_works_for_it() -> None:
    key = Key(digest=b"2" * 32, projects=("q",))
    project = EntryId("project", "acme", "q")
    before = lay((project, Project()), (ACME_KEY, key))
    after = lay((ACME_KEY, key))
    changes = patches.between(before, after)
    assert changes is not None
    assert [dotted(each.path) for each in overlay.problems(after, changes, {})] == ["tenants.acme.keys.new.projects[0]"]


@given(configs(), configs())
def test_good_changes_raise_no_problem(old: Config, new: Config) -> None:
    changes = patches.between(old, new)
    assert changes is not None
    hashes = {digest: path for path, digest in review.hashes(old.tenants)}
    assert list(review.problems(new)) == list(overlay.problems(new, changes, hashes)) == []


def test_an_entry_is_named_by_who_made_it_when() -> None:
    entry = Entry("key", "k", b"{}", 1, 1_795_342_225 * 10**9, 0, "alice", 1, "acme")
    assert overlay.place_of(entry) == "control store (created by alice at 2026-11-22T10:10:25Z)"
    assert dotted(overlay.path_of(entry.id)) == "tenants.acme.keys.k"
    assert dotted(overlay.path_of(GLOBEX)) == "tenants.globex"
    assert dotted(overlay.path_of(EntryId("project", "acme", "p"))) == "tenants.acme.projects.p"
    assert dotted(overlay.path_of(DRAIN)) == "backends.b.endpoints"


def test_a_laid_configuration_shares_what_did_not_change() -> None:
    found = lay(
        (ACME_KEY, KEY), files=msgspec.structs.replace(FILES, tenants={**FILES.tenants, "u": Tenant(models=())})
    )
    assert found.models is FILES.models
    assert lay((GLOBEX, Tenant(models=()))).tenants["acme"] is FILES.tenants["acme"]
