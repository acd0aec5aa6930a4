from __future__ import annotations

from gateway.offload.tally import Tally


def test_what_is_asked_is_counted_by_kind_with_what_became_of_it() -> None:
    tally = Tally()
    for _ in range(4):
        tally.asked("classifier")
    tally.asked("webhook")
    tally.answered("classifier", 0.25)
    tally.answered("classifier", 0.5)
    tally.failed("classifier", "late")
    tally.failed("webhook", "unavailable")
    assert tally.counts == {
        "classifier.questions": 4,
        "classifier.seconds": 0.75,
        "classifier.late": 1,
        "webhook.questions": 1,
        "webhook.unavailable": 1,
    }
