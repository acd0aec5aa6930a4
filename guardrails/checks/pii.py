"""Personal data by its form: addresses, numbers with check digits, dates. The forms are those of Presidio's
recognisers (MIT), written for an engine that streams, with street addresses and postal places beside them. Names of
people, places and organisations have no form, and are not found here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from guardrails.checks.patterned import Rule

_MONTH_NAMES: Final = frozenset({"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"})
_MONTHS: Final = (
    "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|"
    "Nov(?:ember)?|Dec(?:ember)?)"
)
_YEAR: Final = re.compile(r"(?:19|20)\d\d-\d\d-")
_AFTER_NUMBER: Final = re.compile(r"(?: ?(?:x|ext\.? ?)\d+)?(?:[ -][A-Za-z]+)?\Z")
"""An extension, and what the number is of."""
_APART: Final = str.maketrans(dict.fromkeys("()+.-", " "))
"""What a number's digits are grouped by."""
_TOGETHER: Final = str.maketrans(dict.fromkeys(" -"))
_DIGITS: Final = bytes(code - 48 if 48 <= code < 58 else 0 for code in range(256))
_DOUBLED: Final = bytes(sum(divmod(2 * digit, 10)) for digit in _DIGITS)

_WORD: Final = r"[^\W\d_][\w'’.-]*"
_UPPER: Final = "[A-ZÀ-ÖØ-ÞČŠŽĆĐŁŚΑ-ΩА-Я]"
_NAME: Final = rf"{_UPPER}[^\W\d_][\w'’-]*"
_SHORT_NAME: Final = rf"{_UPPER}[^\W\d_][\w'’-]{{0,20}}"
_SHORT_WORD: Final = r"[^\W\d_][\w'’.-]{0,20}"
_SMALL: Final = "(?:de|la|du|des|le|les|di|del|della|da|do|dos|van|von|der|den|of)"
_REST: Final = (
    r"(?:[\s,]{1,3}(?:[Aa]pt|[Ss]uite|Ste|Unit)\.? \d{1,5})?"
    rf"(?:(?:[\s,]{{1,4}}{_WORD}){{1,5}}[\s,]{{1,3}}\d{{4,5}}(?:-\d{{4}})?)?(?![\w-])"
)
"""What may follow a street: a flat, a place and a postal code."""
_STREETS: Final = (
    "(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Drive|Dr|Lane|Ln|Court|Ct|Circle|Cir|Way|Place|Pl|Terrace|Ter|"
    "Parkway|Pkwy|Square|Sq|Highway|Hwy|Trail|Trl|Loop|Close|Crescent|Grove|Row|Alley|Plaza|Gardens|Heights|Hill|Ridge|"
    "Run|Point|Pike|Park|Mews|Quay|Walk|Green|Mill|Landing|Crossing|Creek|Bridge)"
)
_WAYS: Final = (
    "(?:Rue|rue|Avenue|avenue|Place|place|Boulevard|boulevard|Quai|quai|Chemin|chemin|Via|via|Viale|Piazza|Corso|Calle|"
    "Avda|Avenida|Plaza|Rua|Praça|Ulica|ul|Ul|An der|Auf der|Zum|Alte|Neue|Alter|Neuer|Strada|Str)"
)
_NAMED_WAY: Final = rf"{_WAYS}\.? (?:(?:{_NAME}|{_SMALL}) ){{0,4}}{_NAME}"
_ANY_WAY: Final = rf"{_WAYS}\.? (?:{_WORD} ){{0,4}}{_WORD}"
_STRASSE: Final = (
    rf"{_UPPER}[\w-]*(?:[Ss]tra(?:ß|ss)e|[Ss]tr\.|[Ww]eg|[Pp]latz|gasse|[Aa]llee|[Uu]fer|[Rr]ing|[Dd]amm|straat|laan|gade|vej|"
    "vägen|gatan|gata|veien|tie|katu|utca|út|ulica)"
)
_STATES: Final = (
    "(?:A[LKZR]|C[AOT]|DE|FL|GA|HI|I[DLNA]|K[SY]|LA|M[EDAINSOT]|N[EVHJMYCD]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[TA]|W[AVIY])"
)


def luhn(match: str, _: str = "") -> bool:
    """Whether digits hold the check digit of ISO/IEC 7812."""
    digits = match.translate(_TOGETHER).encode()
    return (
        len(set(digits)) > 1
        and (sum(digits[-1::-2].translate(_DIGITS)) + sum(digits[-2::-2].translate(_DOUBLED))) % 10 == 0
    )


def iban(match: str, _: str = "") -> bool:
    """Whether an account number holds the check digits of ISO 13616."""
    plain = match.replace(" ", "").replace("-", "").upper()
    return int("".join(str(int(each, 36)) for each in plain[4:] + plain[:4])) % 97 == 1


def _small_iban(match: str, before: str) -> bool:
    """In small letters every ninety-seventh hash would be one: a word before must say what it is."""
    return _near(before, "iban", "account") and iban(match)


def _ssn(match: str, _: str) -> bool:
    area, group, serial = match.replace(" ", "-").split("-")
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def _phone(match: str, before: str) -> bool:
    """Groups of digits as numbers are dialled; where the form says too little, a word before must say what it is."""
    number = match if match.lower() == match.upper() else _AFTER_NUMBER.sub("", match)
    sizes = [len(group) for group in number.translate(_APART).split()]
    digits = sum(sizes)
    if match[-1].isalpha():  # says itself what it is
        return 6 <= digits <= 15
    if not 7 <= digits <= 19 or match.count(".") == 1 or _YEAR.match(match) or sizes == [3, 2, 4] or set(sizes) == {4}:
        return False
    if "." in match and len(sizes) == 4 and digits <= 12:  # an address of a network
        return False
    grouped = len(sizes) >= 3 and 9 <= digits <= 13 and min(sizes) >= 2 and max(sizes) <= 4
    words = ("phone", "call", "tel", "mobile", "number", "fax", "cell", "contact", "dial", "answering")
    return match[0] in "+(" or grouped or _near(before, *words)


def _street(match: str, _: str) -> bool:
    """A house number, a street and another number, and not a day, its month and a year."""
    words = match.split()[1:-1]
    return words[0][:3] not in _MONTH_NAMES and not {"and", "or", "to"} & set(words)


def _near(before: str, *words: str) -> bool:
    low = before.lower()
    for word in words:  # noqa: SIM110 - half as dear as `any`, and asked of every number
        if word in low:
            return True
    return False


def _after(*words: str) -> Callable[[str, str], bool]:
    return lambda _, before: _near(before, *words)


def _date(match: str, _: str) -> bool:
    parts = match.replace("/", "-").replace(".", "-").split("T")[0].split(" ")[0].split("-")
    sizes = [len(part) for part in parts]
    if len(parts) != 3 or sizes[0] == 3 or sizes[2] in (1, 3):
        return False
    numbers = sorted(int(part) for part, size in zip(parts, sizes, strict=True) if size < 3)
    return numbers[0] >= 1 and all(number <= 31 for number in numbers[:2]) and numbers[0] <= 12


_HOUSE: Final = r"\d{1,5}[a-zA-Z]?,?"
_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_GROUP: Final = "[0-9a-fA-F]{1,4}"

RULES: Final = (
    Rule("EMAIL_ADDRESS", r"(?<![\w.+-])[\w.+-]*\w@\w(?:[\w-]*\w)?(?:\.\w(?:[\w-]*\w)?)+"),
    Rule("CREDIT_CARD", r"(?<![\w.-])\d(?:[ -]?\d){11,18}(?![\w-])", 1.0, luhn),
    Rule("IBAN_CODE", r"\b[A-Z]{2}\d{2}[ -]?(?:[A-Z0-9]{4}[ -]?){2,7}[A-Z0-9]{0,4}\b", 1.0, iban),
    Rule("IBAN_CODE", r"\b[a-z]{2}\d{2}[a-z0-9]{11,30}\b", 1.0, _small_iban),
    Rule("US_SSN", r"(?<![\w-])\d{3}(?:-\d{2}-| \d{2} )\d{4}(?![\w-])", 0.85, _ssn),
    Rule("IP_ADDRESS", rf"(?<![\w.:])(?:{_OCTET}\.){{3}}{_OCTET}(?![\w-])", 0.9),
    Rule("IP_ADDRESS", rf"(?<![\w.:])(?:{_GROUP}:){{7}}{_GROUP}(?![\w:])"),
    Rule("IP_ADDRESS", rf"(?<![\w.:])(?:{_GROUP}:){{1,6}}(?::{_GROUP}){{1,6}}(?![\w:])"),
    Rule("MAC_ADDRESS", r"(?<![\w:-])(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}(?![\w:-])"),
    Rule("MAC_ADDRESS", r"(?<![\w:-])(?:[0-9a-fA-F]{2}-){5}[0-9a-fA-F]{2}(?![\w:-])"),
    Rule("URL", r"\b(?:https?|ftp)://[^\s<>\"'(){}\[\]]*[\w/]"),
    Rule("URL", r"\bwww\.[\w-]+(?:\.[\w-]+)+(?:/[^\s<>\"'(){}\[\]]*[\w/])?"),
    Rule("CRYPTO", r"\b(?:bc1[ac-hj-np-z02-9]{25,62}|0x[0-9a-fA-F]{40})\b"),
    Rule(
        "PHONE_NUMBER",
        r"(?<![\w.+/-])\+?\(?\d[\d() .-]{4,18}\d(?: ?(?:x|ext\.? ?)\d{1,6})?"
        r"(?:[ -](?:[Oo]ffice|[Ff]ax|[Mm]obile|[Cc]ell))?(?![\w/-])",
        0.6,
        _phone,
    ),
    Rule(
        "DATE_TIME",
        r"(?<![\w/.-])\d{1,4}(?:[/.]\d{1,2}[/.]|-\d{1,2}-)\d{1,4}(?:[T ]\d{1,2}:\d{2}(?::\d{2})?)?(?![\w/-])",
        0.7,
        _date,
    ),
    Rule(
        "DATE_TIME",
        rf"\b(?:\d{{1,2}}(?:st|nd|rd|th)?(?: of)? )?{_MONTHS}\.?,? \d{{1,4}}(?:st|nd|rd|th)?(?:,? \d{{4}})?\b",
        0.7,
    ),
    Rule("ADDRESS", rf"\b\d{{1,6}}[A-Za-z]?,? (?:{_WORD} ){{1,4}}{_STREETS}\b\.?{_REST}", 0.8),
    Rule(
        "ADDRESS",
        rf"(?<![\w.,-])\d{{1,4}} {_SHORT_NAME}(?: {_SHORT_WORD}){{0,3}} \d{{2,5}}[a-z]?(?![\w,.%-])",
        0.5,
        _street,
    ),
    Rule("ADDRESS", rf"\b{_STRASSE},? \d{{1,5}}[a-z]?\b{_REST}", 0.8),
    Rule("ADDRESS", rf"\b{_HOUSE} {_NAMED_WAY}\b{_REST}", 0.8),
    Rule("ADDRESS", rf"\b{_ANY_WAY},? \d{{1,5}}[a-z]?\b{_REST}", 0.7),
    Rule("ADDRESS", r"\b(?:[Aa]pt|[Ss]uite|[Ss]te)\.? \d{1,5}\b|\b[Pp]\.? ?[Oo]\.? ?[Bb]ox \d{1,6}\b", 0.8),
    Rule("ADDRESS", r"\b(?:[Uu]nit|PSC|psc) \d{1,5},? [Bb]ox \d{1,5}\b", 0.8),
    Rule("ADDRESS", r"\b(?:[AFD]PO|[afd]po) (?:A[AEP]|a[aep]) \d{5}\b", 0.8),
    Rule("ADDRESS", rf"(?<![\w.-]){_NAME},? \d{{5}}(?![\w.,-])", 0.4),
    Rule("ADDRESS", rf"\b{_STATES},? \d{{5}}(?:-\d{{4}})?\b", 0.8),
    Rule("US_DRIVER_LICENSE", r"\b[A-Za-z]{0,2}\d{6,14}[A-Za-z]?\b", 0.5, _after("driver", "license", "licence")),
    Rule("US_PASSPORT", r"\b[A-Z]?\d{8,9}\b", 0.5, _after("passport")),
    Rule("US_BANK_NUMBER", r"\b\d{8,17}\b", 0.5, _after("bank account", "account number", "acct", "routing")),
)

ENTITIES: Final = frozenset(rule.code for rule in RULES)
