from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Sequence

from gateway.offload import lanes
from gateway.offload.frames import Question
from gateway.offload.lanes import Lane, Unanswered
from tests.support.running import run, until

LATER = math.inf


class Gate:
    """Work that waits to be let through; says what it was given, in order."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.began: list[bytes] = []

    def __call__(self, question: Question) -> object:
        self.began.append(question.text)
        assert self.open.wait(30)
        if question.name == "unanswered":
            raise Unanswered
        if question.name == "bug":
            raise ZeroDivisionError
        return len(question.text)


def question(text: bytes, until_s: float = LATER, name: str = "") -> Question:
    return Question(1, "classifier", name, text, until_s)


def test_the_shortest_of_those_that_wait_is_next() -> None:
    async def scene() -> None:
        gate = Gate()
        lane = Lane("lane", 1, gate, lambda error: None)
        answers: list[tuple[object, str]] = []
        for text in (b"first", b"a very long one", b"long one", b"b", b"a"):
            lane.put(question(text), lambda value, failure: answers.append((value, failure)))
        gate.open.set()
        await until(lambda: len(answers) == 5, "all are answered")
        assert gate.began == [b"first", b"b", b"a", b"long one", b"a very long one"]
        assert answers == [(5, ""), (1, ""), (1, ""), (8, ""), (15, "")]
        lane.close()

    run(scene())


def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    async def scene() -> None:
        gate = Gate()
        lane = Lane("lane", 1, gate, lambda error: None)
        answers: list[tuple[object, str]] = []
        for each in (question(b"first"), question(b"over", time.monotonic() - 1), question(b"longer than that")):
            lane.put(each, lambda value, failure: answers.append((value, failure)))
        gate.open.set()
        await until(lambda: len(answers) == 3, "all are answered")
        assert gate.began == [b"first", b"longer than that"]
        assert (None, "late") in answers
        lane.close()

    run(scene())


def test_work_that_fails_or_has_a_bug_answers_too_and_the_next_goes_on() -> None:
    async def scene() -> None:
        gate = Gate()
        gate.open.set()
        bugs: list[BaseException] = []
        lane = Lane("lane", 1, gate, bugs.append)
        answers: list[tuple[object, str]] = []
        for name in ("unanswered", "bug", "well"):
            lane.put(question(b"a", name=name), lambda value, failure: answers.append((value, failure)))
        await until(lambda: len(answers) == 3, "all are answered")
        assert answers == [(None, "unavailable"), (None, "unavailable"), (1, "")]
        assert [type(bug) for bug in bugs] == [ZeroDivisionError]
        lane.close()

    run(scene())


def test_a_lane_that_is_full_refuses_but_first_forgets_what_is_late() -> None:
    async def scene() -> None:
        gate = Gate()
        lane = Lane("lane", 1, gate, lambda error: None)
        answers: list[tuple[object, str]] = []
        big = bytes(lanes.MOST_BYTES // 2)

        def put(each: Question) -> None:
            lane.put(each, lambda value, failure: answers.append((value, failure)))

        put(question(b"begun"))
        put(question(big, time.monotonic() - 1))
        put(question(big))
        assert answers == []
        put(question(big))
        assert answers == [(None, "late")]
        put(question(b"one more"))
        assert answers == [(None, "late"), (None, "unavailable")]
        gate.open.set()
        await until(lambda: sum(not failure for _, failure in answers) == 3, "the rest is answered")
        lane.close()

    run(scene())


def test_questions_are_answered_beside_each_other_where_there_are_threads() -> None:
    async def scene() -> None:
        gate = Gate()
        lane = Lane("lane", 2, gate, lambda error: None)
        done = asyncio.Event()
        lane.put(question(b"a"), lambda value, failure: None)
        lane.put(question(b"b"), lambda value, failure: done.set())
        await until(lambda: len(gate.began) == 2, "both have begun")
        gate.open.set()
        await done.wait()
        lane.close()

    run(scene())


def test_what_runs_for_too_long_is_stuck_until_it_ends() -> None:
    async def scene() -> None:
        gate = Gate()
        lane = Lane("lane", 1, gate, lambda error: None, stuck_s=0.0)
        patient = Lane("lane", 1, gate, lambda error: None)
        answers: list[tuple[object, str]] = []
        for each in (lane, patient):
            each.put(question(b""), lambda value, failure: answers.append((value, failure)))
        await until(lambda: lane.stuck, "it is stuck")
        assert not patient.stuck
        gate.open.set()
        await until(lambda: len(answers) == 2, "both are answered")
        assert not lane.stuck
        lane.close()
        patient.close()


class Together:
    """Work on several; says what it was given together."""

    def __init__(self) -> None:
        self.taken: list[list[bytes]] = []

    def __call__(self, questions: Sequence[Question]) -> Sequence[object]:
        self.taken.append([question.text for question in questions])
        if any(question.text == b"bug" for question in questions):
            raise ZeroDivisionError
        return [len(question.text) for question in questions]


def entities(text: bytes, name: str = "PERSON", until_s: float = LATER) -> Question:
    return Question(1, "entities", name, text, until_s)


def test_what_comes_at_once_and_is_less_work_together_is_taken_together() -> None:
    async def scene() -> None:
        gate, together = Gate(), Together()
        gate.open.set()
        lane = Lane("lane", 1, gate, lambda error: None, together=together)
        answers: dict[bytes, tuple[object, str]] = {}
        asked = [
            *(entities(b"a" * 900), entities(b"b" * 900), entities(b"c" * 901), entities(b"d" * 902, "UK_NHS")),
            *(entities(b"e" * 10, until_s=time.monotonic() - 1), question(b"f" * 903), question(b"g" * 903)),
        ]
        for each in asked:
            lane.put(each, lambda value, failure, text=each.text: answers.update({text: (value, failure)}))  # type: ignore[misc]
        await until(lambda: len(answers) == len(asked), "all are answered")
        assert together.taken == [[b"a" * 900, b"b" * 900]]  # a third would be too much
        assert gate.began == [b"c" * 901, b"d" * 902, b"f" * 903, b"g" * 903]
        assert answers.pop(b"e" * 10) == (None, "late")
        assert all(answer == (len(text), "") for text, answer in answers.items())
        lane.close()

    run(scene())


def test_one_that_raises_says_nothing_of_those_it_was_taken_with() -> None:
    async def scene() -> None:
        gate, together = Gate(), Together()
        gate.open.set()
        bugs: list[BaseException] = []
        lane = Lane("lane", 1, gate, bugs.append, together=together)
        answers: dict[bytes, tuple[object, str]] = {}
        for text in (b"one", b"bug", b"three"):
            lane.put(entities(text), lambda value, failure, text=text: answers.update({text: (value, failure)}))  # type: ignore[misc]
        await until(lambda: len(answers) == 3, "all are answered")
        assert together.taken == [[b"one", b"bug", b"three"]]
        assert answers == {b"one": (3, ""), b"bug": (3, ""), b"three": (5, "")}
        assert bugs == []
        lane.close()

    run(scene())
