import pytest

from guardrails.checks.patterned import PatternCheck
from guardrails.checks.pii import RULES, iban, luhn
from tests.support.finding import found

CHECK = PatternCheck("pii", RULES)


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("EMAIL_ADDRESS", "jane.doe+tag@mail.example.co.uk"),
        ("CREDIT_CARD", "4111 1111 1111 1111"),
        ("CREDIT_CARD", "4111111111111111"),
        ("IBAN_CODE", "GB82 WEST 1234 5698 7654 32"),
        ("US_SSN", "536-90-4399"),
        ("IP_ADDRESS", "192.168.10.254"),
        ("IP_ADDRESS", "2001:db8:0:0:0:ff00:42:8329"),
        ("MAC_ADDRESS", "00:1b:44:11:3a:b7"),
        ("URL", "https://example.org/path?q=1"),
        ("CRYPTO", "0x52908400098527886E0F7030069857D2E4169EE7"),
        ("PHONE_NUMBER", "+49 30 901820"),
        ("PHONE_NUMBER", "(212) 555-0187"),
        ("PHONE_NUMBER", "001-748-088-2851x818-Fax"),
        ("PHONE_NUMBER", "96 228011 office"),
        ("DATE_TIME", "10/25/1990"),
        ("DATE_TIME", "March 3, 1984"),
        ("ADDRESS", "174 Union Street, Suite 781"),
        ("ADDRESS", "Paul-Nevermann-Platz 47"),
        ("ADDRESS", "87 Rue Joseph Vernet"),
        ("ADDRESS", "APO AE 09366"),
    ],
)
def test_each_entity_is_found_by_its_form(code: str, part: str) -> None:
    assert (code, part) in found(CHECK, f"It says {part} here.")


@pytest.mark.parametrize(
    "text",
    [
        "card 4111 1111 1111 1112",
        "IBAN GB82WEST12345698765433",
        "000-12-3456",
        "version 3.11.7 of 2026",
        "in 2024 there were 1,234,567 of 8,000,000",
        "the ratio is 0.69263303",
        "at 14:32 I had 12 apples and 3 pears",
        "300.1.2.3",
        "a@b",
        "chapters 10-25",
        "1,000 2,000 3,000 mobile phones",
        "gb82west12345698765432",
    ],
)
def test_what_only_looks_alike_is_not_found(text: str) -> None:
    assert found(CHECK, text) == []


def test_numbers_without_a_form_of_their_own_need_a_word_before() -> None:
    assert found(CHECK, "481195160") == []
    assert ("US_DRIVER_LICENSE", "481195160") in found(CHECK, "my driver license is 481195160")
    assert ("US_DRIVER_LICENSE", "LH329609T") in found(CHECK, "my driver license is LH329609T")
    assert ("IBAN_CODE", "gb82west12345698765432") in found(CHECK, "my iban is gb82west12345698765432")
    assert ("PHONE_NUMBER", "329 7730") in found(CHECK, "call 329 7730")


def test_disguised_data_is_found_where_it_stands() -> None:
    assert found(CHECK, "ｊane\u200b@exаmple.com") == [("EMAIL_ADDRESS", "ｊane\u200b@exаmple.com")]


def test_check_digits() -> None:
    assert luhn("4111 1111 1111 1111")
    assert not luhn("0000000000000000")
    assert iban("DE89370400440532013000")
    assert not iban("DE88370400440532013000")
