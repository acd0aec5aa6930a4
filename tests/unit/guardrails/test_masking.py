import pytest

from guardrails.masking import Restoring, Vault
from guardrails.verdict import Action

SECRET = bytes(range(32))


def _vault(tenant: str = "acme", conversation: str = "c1") -> Vault:
    return Vault(SECRET, tenant, conversation)


def test_a_value_has_one_placeholder_in_a_conversation_and_another_outside_it() -> None:
    here = _vault().placeholder("EMAIL_ADDRESS", "joe@x.org")
    assert here == _vault().placeholder("EMAIL_ADDRESS", "joe@x.org")
    others = [_vault("other"), _vault(conversation="c2"), Vault(SECRET[::-1], "acme", "c1"), _vault("acm", "ec1")]
    assert len({here, *(vault.placeholder("EMAIL_ADDRESS", "joe@x.org") for vault in others)}) == 5
    assert "joe" not in here


def test_different_values_have_different_placeholders_and_a_value_keeps_its_own() -> None:
    vault = _vault()
    first = vault.placeholder("EMAIL_ADDRESS", "joe@x.org")
    assert vault.placeholder("URL", "joe@x.org") == first
    assert len({vault.placeholder("N", str(number)) for number in range(2_000)}) == 2_000


def test_only_a_reversible_mask_keeps_the_value() -> None:
    vault = _vault()
    assert vault.mask(Action.MASK, "EMAIL_ADDRESS", "joe@x.org") == "[EMAIL_ADDRESS]"
    assert dict(vault.values) == {}
    placeholder = vault.mask(Action.MASK_REVERSIBLE, "EMAIL_ADDRESS", "joe@x.org")
    assert dict(vault.values) == {placeholder: "joe@x.org"}


def test_a_later_turn_goes_on_with_the_values_of_the_earlier_ones() -> None:
    first = _vault()
    placeholder = first.placeholder("PHONE", "+49 30 1")
    later = Vault(SECRET, "acme", "c1", first.values)
    assert later.placeholder("PHONE", "+49 30 1") == placeholder
    assert later.restored(f"Call {placeholder}!") == "Call +49 30 1!"


def test_placeholders_are_restored_exactly_and_others_are_left() -> None:
    vault = _vault()
    placeholder = vault.placeholder("EMAIL_ADDRESS", "joe@x.org\\1")
    text = f"[{placeholder}] [EMAIL_ADDRESS] [EMAIL_ADDRESS_0123456789] {placeholder[:-1]}"
    assert vault.restored(text) == f"[joe@x.org\\1] [EMAIL_ADDRESS] [EMAIL_ADDRESS_0123456789] {placeholder[:-1]}"


@pytest.mark.parametrize("size", [1, 2, 5, 11, 200])
def test_a_stream_is_restored_as_the_whole_is(size: int) -> None:
    vault = _vault()
    one, two = vault.placeholder("EMAIL_ADDRESS", "joe@x.org"), vault.placeholder("P2", "😀")
    text = f"a[ {one}{two}[[{one}] x[1] [NOT {one[:9]} [Ab] {'[A' * 80} {two} and {one[:-3]}"
    restoring = Restoring(vault)
    out = [restoring.feed(text[at : at + size]) for at in range(0, len(text), size)]
    assert "".join(out) + restoring.finish() == vault.restored(text)


def test_text_that_cannot_become_a_placeholder_leaves_at_once() -> None:
    restoring = Restoring(_vault())
    assert [restoring.feed(piece) for piece in ("see ", "[1", "] and [", "EMA", "il] ")] == [
        "see ",
        "[1",
        "] and ",
        "",
        "[EMAil] ",
    ]
    assert restoring.feed("[" + "A" * 200) == "[" + "A" * 200


def test_a_secret_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError, match="32 random"):
        Vault(b"short", "acme", "c1")
