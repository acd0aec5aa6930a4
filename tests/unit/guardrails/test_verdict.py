from guardrails.verdict import Action, Failure, Finding, Ruling, Verdict

FOUND = Finding("pii", "EMAIL_ADDRESS", 1.0, 3, 9)


def test_a_verdict_is_the_strictest_of_what_was_enforced() -> None:
    masked, observed = Ruling(FOUND, Action.MASK, True), Ruling(FOUND, Action.BLOCK, False)
    assert Verdict((), ()).action is Action.ALLOW
    assert Verdict((masked, observed, Ruling(FOUND, Action.ANNOTATE, True)), ()).action is Action.MASK


def test_a_check_that_failed_blocks_only_where_it_is_to() -> None:
    assert Verdict((), (Failure("pii", "late", False),)).action is Action.ALLOW
    assert Verdict((), (Failure("pii", "late", True),)).action is Action.BLOCK


def test_only_masks_and_blocks_change_a_text() -> None:
    assert [action for action in Action if action.changes] == [Action.MASK, Action.MASK_REVERSIBLE, Action.BLOCK]
