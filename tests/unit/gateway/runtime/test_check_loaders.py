from gateway.offload.tally import KINDS, WEBHOOK
from gateway.runtime.check_loaders import LOADERS


def test_every_kind_that_the_check_process_answers_can_be_loaded() -> None:
    assert set(LOADERS) == set(KINDS) - {WEBHOOK}
