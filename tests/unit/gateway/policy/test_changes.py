from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.changes import START, ChainBroken, Change, Head, follow, hash_of, head_of, sealed

DOCUMENTS = st.none() | st.binary(max_size=30)
TEXTS = st.text(max_size=8)
CHANGES = st.builds(
    Change,
    seq=st.just(0),
    at_ns=st.integers(0, 2**63 - 1),
    principal=TEXTS,
    subject=TEXTS,
    via=TEXTS,
    request_id=TEXTS,
    action=st.sampled_from(["create", "update", "delete"]),
    kind=TEXTS,
    tenant=TEXTS,
    name=TEXTS,
    before=DOCUMENTS,
    after=DOCUMENTS,
    reason=TEXTS,
    previous=st.just(""),
)


def chain(changes: Iterable[Change]) -> list[Change]:
    head, found = START, []
    for change in changes:
        found.append(sealed(change, head))
        head = found[-1].head
    return found


def end_of(changes: Iterable[Change]) -> Head:
    head = START
    for change in changes:
        head = follow(head, change)
    return head


CHAINS = st.lists(CHANGES, min_size=1, max_size=8).map(chain)


@given(CHAINS)
def test_what_was_sealed_is_followed_to_its_end(changes: list[Change]) -> None:
    assert end_of(changes) == changes[-1].head == Head(len(changes), changes[-1].hash)


@given(CHAINS, st.data())
def test_an_edit_of_any_field_is_found_where_it_is(changes: list[Change], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(changes) - 1))
    field = data.draw(st.sampled_from(msgspec.structs.fields(Change)))
    value = getattr(changes[at], field.name)
    other = value + 1 if isinstance(value, int) else b"{}!" if field.name in ("before", "after") else f"{value}!"
    changes[at] = msgspec.structs.replace(changes[at], **{field.name: other})
    with pytest.raises(ChainBroken) as caught:
        end_of(changes)
    assert caught.value.seq == at + 1


@given(CHAINS, st.data())
def test_one_that_was_edited_and_sealed_again_is_found_by_the_next(changes: list[Change], data: st.DataObject) -> None:
    if len(changes) > 1:
        at = data.draw(st.integers(0, len(changes) - 2))
        edited = msgspec.structs.replace(changes[at], reason=changes[at].reason + "!")
        changes[at] = msgspec.structs.replace(edited, hash=hash_of(edited))
        with pytest.raises(ChainBroken, match=f"change {at + 2} does not continue change {at + 1}"):
            end_of(changes)


@given(CHAINS, st.data())
def test_one_that_is_missing_is_found(changes: list[Change], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(changes) - 1))
    last = changes[-1].head
    del changes[at]
    if at == len(changes):
        assert end_of(changes) != last  # only a head that was noted elsewhere shows it
    else:
        with pytest.raises(ChainBroken, match=f"change {at + 1} is missing"):
            end_of(changes)


@given(CHAINS, st.data())
def test_two_that_changed_places_are_found_also_with_their_numbers_changed(
    changes: list[Change], data: st.DataObject
) -> None:
    at, other = sorted(data.draw(st.lists(st.integers(0, len(changes) - 1), min_size=2, max_size=2)))
    if at != other:
        first, second = changes[at], changes[other]
        for moved in (
            (second, first),
            (msgspec.structs.replace(second, seq=at + 1), msgspec.structs.replace(first, seq=other + 1)),
        ):
            changes[at], changes[other] = moved
            with pytest.raises(ChainBroken) as caught:
                end_of(changes)
            assert caught.value.seq == at + 1


def test_fields_do_not_run_into_each_other() -> None:
    one = Change(1, 0, "ab", "c", "", "", "", "", "", "", None, None, "", START.hash)
    other = msgspec.structs.replace(one, principal="a", subject="bc")
    assert hash_of(one) != hash_of(other)
    assert hash_of(one) != hash_of(msgspec.structs.replace(one, after=b""))


def test_the_hash_is_the_one_that_was_kept() -> None:
    """Logs that were written stay whole: nobody changes the encoding by accident."""
    change = Change(
        *(1, 1_790_000_000_000_000_000, "alice", "alice@example.org", "api", "req_1", "create", "key", "acme", "app"),
        *(None, b'{"hash":"sha256:00"}', "for the tour", START.hash),
    )
    assert hash_of(change) == "2599d85caf57c5fc7de02687808fd7cd4fc8a28033b0fac20c1d72318ba07a9a"


def test_a_head_is_read_as_it_is_printed() -> None:
    head = Head(17, "0f" * 32)
    assert head_of(f" {head}\n") == head
    assert str(head) == "17:" + "0f" * 32
    for bad in (
        "",
        "17",
        "17:",
        ":" + head.hash,
        f"-1:{head.hash}",
        f"17:{head.hash[1:]}",
        "17:" + "0F" * 32,
        "²:" + head.hash,
    ):
        with pytest.raises(ValueError, match="no head of a change log"):
            head_of(bad)
