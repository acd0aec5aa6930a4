from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.ids import RequestIds
from gateway.wire import trace, trace_ids

IDS = st.from_regex(r"req_[0-9a-f]{30}", fullmatch=True)
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WALL_NS = 1_800_000_000_123_000_000


def of_one_worker(count: int) -> list[str]:
    ids = RequestIds(b"\x01\x02\x03\x04\x05")
    return [ids.next(WALL_NS) for _ in range(count)]


@given(IDS, st.integers(1, 20))
def test_what_is_passed_on_is_valid_and_names_the_attempt(request_id: str, number: int) -> None:
    for given_one in ("", PARENT):
        sent = trace_ids.passed_on(given_one, request_id, number, trace_ids.EVERY)
        if set(request_id[20:34]) != {"0"}:
            assert trace.parent(sent.encode()) == sent
        assert sent[36:52] == trace_ids.attempt_span(request_id, number)


@given(IDS)
def test_a_trace_of_ours_leads_back_to_its_request(request_id: str) -> None:
    found = trace_ids.requests_of(trace_ids.trace_of(request_id))
    assert (request_id in found, len(found)) == (True, 256)


def test_a_callers_trace_goes_on_with_its_own_flags() -> None:
    (request_id,) = of_one_worker(1)
    for flags in ("00", "01", "03"):
        sent = trace_ids.passed_on(PARENT[:-2] + flags, request_id, 1, trace_ids.below(0.0))
        assert (sent[:36], sent[52:]) == (PARENT[:36], "-" + flags)


def test_without_a_callers_trace_the_flag_says_whether_ours_is_sampled() -> None:
    (request_id,) = of_one_worker(1)
    assert trace_ids.passed_on("", request_id, 1, trace_ids.below(1.0)).endswith("-01")
    assert trace_ids.passed_on("", request_id, 1, trace_ids.below(0.0)).endswith("-00")
    assert trace_ids.passed_on("", request_id, 1, trace_ids.EVERY)[3:35] == trace_ids.trace_of(request_id)


def test_requests_and_their_attempts_have_ids_of_their_own() -> None:
    ids = of_one_worker(2_000)
    assert len({trace_ids.trace_of(each) for each in ids}) == len(ids)
    spans = [trace_ids.server_span(each) for each in ids]
    spans += [trace_ids.attempt_span(each, number) for each in ids for number in range(1, 6)]
    assert len(set(spans)) == len(spans)
    assert all(re.fullmatch("[0-9a-f]{16}", span) for span in spans)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 1.0])
def test_a_share_of_the_traces_is_the_same_share_of_every_nth(share: float) -> None:
    """Callers that take turns must not be sampled one more than the other."""
    limit = trace_ids.below(share)
    drawn = [trace_ids.sampled(trace_ids.trace_of(each), limit) for each in of_one_worker(32_000)]
    for step in (1, 2, 3, 10, 16):
        for first in range(step):
            turns = drawn[first::step]
            assert abs(sum(turns) / len(turns) - share) < 0.01
