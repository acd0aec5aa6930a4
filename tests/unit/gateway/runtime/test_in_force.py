"""gateway.runtime.in_force: what is archived for a change, and which changes are refused."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import archive, review
from gateway.config.entries import Entry, EntryId, Kind
from gateway.config.model import Config, Endpoint, Fake, Key, Model, Tenant, Vllm
from gateway.config.model_meters import Project
from gateway.config.places import Places
from gateway.errors import ConfigError
from gateway.runtime import in_force
from gateway.runtime.configuration import Loaded
from gateway.runtime.in_force import InForce, Step

FILES = Config(
    backends={"b": Vllm(endpoints=(Endpoint(url="http://a:1"),))},
    models={"m": Model(backend="b")},
    tenants={"acme": Tenant(models=("*",), keys={"app": Key(digest=b"1" * 32)}, projects={"p": Project()})},
)


def entry(kind: Kind, tenant: str, name: str, **document: Any) -> Entry:
    if kind == "key":
        document.setdefault("hash", "sha256:" + hashlib.sha256(f"{tenant}/{name}".encode()).hexdigest())
    return Entry(kind, name, json.dumps(document).encode(), 1, 0, 0, "alice", 1, tenant)


def changed(*entries: Entry) -> Mapping[EntryId, Entry | None]:
    return {each.id: each for each in entries}


def files(config: Config) -> Loaded:
    return Loaded(config, Places())


class Archive:
    """What was archived, and what of it can be read."""

    def __init__(self, state_dir: Path, config: Config = FILES, *entries: Entry) -> None:
        self.state_dir = state_dir
        step, refused = in_force.begin(files(config), entries)
        self.refused = refused
        self.put(step)

    def put(self, step: Step) -> None:
        digests = [archive.write(self.state_dir, blob) for blob in step.blobs]
        self.now: InForce = step.after
        assert not digests or digests[-1] == self.now.digest
        assert archive.read(self.state_dir, self.now.digest) == self.now.config
        assert self.now.hashes == {each: path for path, each in review.hashes(self.now.config.tenants)}

    def take(self, *entries: Entry, gone: tuple[EntryId, ...] = ()) -> list[str]:
        """Takes entries; what was refused is told."""
        step, refused = self.now.with_entries({**changed(*entries), **dict.fromkeys(gone)})
        self.put(step)
        return [each.why for each in refused]

    def keys(self, tenant: str = "acme") -> set[str]:
        return set(self.now.config.tenants[tenant].keys)


def test_a_key_that_is_made_and_revoked_is_a_patch_each(tmp_path: Path) -> None:
    kept = Archive(tmp_path)
    key = entry("key", "acme", "new")
    digests = [kept.now.digest]
    assert kept.take(key) == []
    assert kept.keys() == {"app", "new"}
    digests.append(kept.now.digest)
    kept.take(gone=(key.id,))
    assert kept.keys() == {"app"}
    assert kept.now.config == FILES
    digests.append(kept.now.digest)
    assert len(set(digests)) == 3
    assert [each.base is None for each in archive.history(tmp_path)].count(True) == 1


def test_entries_that_change_nothing_are_known_and_archive_nothing(tmp_path: Path) -> None:
    kept = Archive(tmp_path)
    before = kept.now.digest
    waits = entry("key", "globex", "app")
    assert kept.take(waits, entry("principal", "", "root")) == []
    assert (kept.now.digest, kept.now.waiting()) == (before, [waits.id])
    kept.take(entry("tenant", "", "globex", models=["*"]))
    assert kept.keys("globex") == {"app"}
    assert kept.now.waiting() == []


def test_a_long_chain_is_put_together_and_the_snapshot_in_force_stays_a_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_force, "LONGEST_CHAIN", 3)
    monkeypatch.setattr(in_force, "SMALL", 6)
    kept = Archive(tmp_path)
    whole = kept.now.digest
    bases = []
    for number in range(12):
        before = kept.now.digest
        kept.take(entry("key", "acme", f"k{number}"))
        patch = archive.read_one(tmp_path, kept.now.digest)
        assert isinstance(patch, archive.Patch)
        assert before in (patch.base, patch.also)
        bases.append(patch.base)
    assert len(kept.keys()) == 13
    assert bases[3] == whole  # all since the whole one, in one
    assert sum(each.base is None for each in archive.history(tmp_path)) == 2  # then that is too much


def test_files_that_change_little_are_a_patch_and_others_are_whole(tmp_path: Path) -> None:
    kept = Archive(tmp_path, FILES, entry("key", "acme", "new"))
    tenants = {**FILES.tenants, "globex": Tenant(models=())}
    step = kept.now.with_files(files(msgspec.structs.replace(FILES, tenants=tenants)))
    assert step is not None
    kept.put(step)
    assert isinstance(archive.read_one(tmp_path, kept.now.digest), archive.Patch)
    assert kept.keys() == {"app", "new"}
    assert kept.now.with_files(kept.now.files) is None
    step = kept.now.with_files(files(msgspec.structs.replace(FILES, backends={"b": Fake()})))
    assert step is not None
    kept.put(step)
    assert isinstance(archive.read_one(tmp_path, kept.now.digest), Config)
    assert kept.keys() == {"app", "new"}


def test_files_that_declare_an_entry_too_are_refused_with_both_places(tmp_path: Path) -> None:
    kept = Archive(tmp_path, FILES, entry("key", "acme", "new"))
    tenants = {"acme": msgspec.structs.replace(FILES.tenants["acme"], keys={"new": Key(digest=b"2" * 32)})}
    with pytest.raises(ConfigError) as refused:
        kept.now.with_files(files(msgspec.structs.replace(FILES, tenants=tenants)))
    told = "control store (created by alice at 1970-01-01T00:00:00Z): tenants.acme.keys.new: it is there twice, also in"
    assert str(refused.value).startswith(told)


def test_files_that_take_a_project_from_under_a_key_are_refused_by_its_name(tmp_path: Path) -> None:
    kept = Archive(tmp_path, FILES, entry("key", "acme", "new", projects=["p"]))
    tenants = {"acme": msgspec.structs.replace(FILES.tenants["acme"], projects={})}
    with pytest.raises(ConfigError, match=r"control store \(created by alice .*keys\.new\.projects\[0\]: this tenant"):
        kept.now.with_files(files(msgspec.structs.replace(FILES, tenants=tenants)))


def test_one_bad_entry_keeps_nobody_else_out(tmp_path: Path) -> None:
    kept = Archive(tmp_path, FILES, entry("key", "acme", "old"))
    bad = [
        entry("key", "acme", "a", projects=["none"]),
        entry("key", "acme", "app"),  # in the files
        entry("key", "acme", "b", expirs=1),
        entry("key", "acme", "c", hash="sha256:" + "31" * 32),  # that of app
    ]
    good = [entry("key", "acme", f"k{number}") for number in range(8)]
    told = kept.take(*bad[:2], *good, *bad[2:], gone=(EntryId("key", "acme", "old"),))
    assert kept.keys() == {"app", *(each.name for each in good)}
    assert len(told) == 4
    for words in (
        "no project",
        "there twice, also in",
        "unknown key; did you mean expires",
        "two keys have the same hash",
    ):
        assert sum(words in line for line in told) == 1


def test_a_gateway_starts_without_the_entries_that_cannot_be(tmp_path: Path) -> None:
    kept = Archive(tmp_path, FILES, entry("key", "acme", "good"), entry("key", "acme", "app"))
    assert kept.keys() == {"app", "good"}
    assert kept.now.config.tenants["acme"].keys["app"] == FILES.tenants["acme"].keys["app"]
    assert [each.entry.name for each in kept.refused] == ["app"]


def test_what_needs_each_other_comes_and_goes_together(tmp_path: Path) -> None:
    kept = Archive(tmp_path)
    made = [
        entry("key", "globex", "app", projects=["q"]),
        entry("project", "globex", "q"),
        entry("tenant", "", "globex", models=["*"]),
    ]
    broken = entry("key", "acme", "bad", projects=["none"])  # so that the others are tried by halves
    assert len(kept.take(*made, broken)) == 1
    assert kept.keys("globex") == {"app"}
    assert len(kept.take(broken, gone=tuple(each.id for each in reversed(made)))) == 1
    assert kept.now.config == FILES


def test_a_project_that_a_key_needs_stays_until_the_key_goes(tmp_path: Path) -> None:
    project, key = entry("project", "acme", "q"), entry("key", "acme", "new", projects=["q"])
    kept = Archive(tmp_path, FILES, project, key)
    assert "this tenant has no project" in kept.take(gone=(project.id,))[0]
    assert "q" in kept.now.config.tenants["acme"].projects
    assert kept.take(gone=(project.id, key.id)) == []
    assert kept.now.config == FILES


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["acme", "globex"]),
        st.sampled_from(["tenant", "project", "key"]),
        st.sampled_from("ab"),
        st.booleans(),
        st.booleans(),
    ),
    max_size=8,
)


@settings(max_examples=50)
@given(st.lists(STEPS, max_size=5))
def test_however_entries_come_what_is_in_force_is_valid_and_archived(batches: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kept = Archive(Path(folder))
        for batch in batches:
            entries: dict[EntryId, Entry | None] = {}
            for tenant, kind, name, there, needs in batch:
                documents = {"tenant": {"models": ["*"]}, "project": {}, "key": {"projects": ["a"] if needs else []}}
                made = entry(
                    kind, "" if kind == "tenant" else tenant, tenant if kind == "tenant" else name, **documents[kind]
                )
                entries[made.id] = made if there else None
            step, _ = kept.now.with_entries(entries)
            kept.put(step)
            assert list(review.problems(kept.now.config)) == []
