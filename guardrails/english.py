"""How much a text reads like English, by pairs of letters: enough to tell a text from its rot13, and i from l in
leet.

The table is log2 of how often a letter follows another, in steps of one, 9 the most, counted over the 372,000 pairs
of the topics of Python's documentation (`pydoc_data.topics`, PSF licence) and this project's READMEs; `^` is the
border of a word.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_LETTERS: Final = "^abcdefghijklmnopqrstuvwxyz"
_FOLLOWS: Final = (
    "064544423602444540456334110",
    "604530130402656030666330130",
    "350217000460600520431600060",
    "460306006405600600416500000",
    "830037010500200410040400020",
    "740452410100445033664022430",
    "840004400600300700504500020",
    "850006034500415310443500000",
    "660008000500000500202000000",
    "233544430001447620366030101",
    "510009000000000400050400000",
    "740008050500003030050302000",
    "660047300600600500054501050",
    "664008000400040660030400000",
    "750565160300312500056320020",
    "614452510202447240645534000",
    "560016000400600650636300020",
    "200000000000300000000902000",
    "760237040602044510354310040",
    "830306003501200430056401020",
    "750106007600100500443301030",
    "244436040500656150666000000",
    "170008000600100400000000000",
    "660005007700104600430000000",
    "750706000400000060016000210",
    "900103000300014350054003000",
    "660008000400000500000200020",
)
_WIDTH: Final = len(_LETTERS) + 1
_LIKELIHOOD: Final = bytes(int(digit) for row in (*_FOLLOWS, "") for digit in f"{row:0<{_WIDTH}}")
"""By the numbers of two letters in `_LETTERS`; one more stands for whatever is no letter."""
_NUMBERS: Final = bytes(max(0, _LETTERS.find(chr(code).lower(), 1)) or _WIDTH - 1 for code in range(256))

_WITH_I: Final = (
    "abilities afraid ai aid aids ail ais alibi alien aliens ancient api apis applies available avoid avoids bail "
    "belief beliefs believe believed believes bid bidding bike bill billion billionaire billions bills bisexual "
    "boil brilliant build builder builders building builds built builtin ceiling cli client clients coil "
    "companies compliance complies conscience copies copilot council crucial decide decided decides decision "
    "decisions denies detail detailed details disabilities disability earlier efficient either email emailed "
    "emails especially facial fail failed failing fails failure failures families forbid forbidden forbids genius "
    "genocide gmail guardrail guardrails guidance guide guided guideline guidelines guides guild guilt guilty "
    "hail homicide i identities imbecile implies italian jail jailbreak jailbroken jailed laid lesbian lesbians "
    "liability liar liars lie lied lies lily liquid maid mail mailbox mailed mailing mails malicious medium nail "
    "neither noise official officially oil paid pencil pi piece pieces pill pills pilot pilots poison poisonous "
    "policies politician politicians praise precious quiet quietly racial racism racist racists raid rail rails "
    "raise raised raises rapist rebuild rebuilt recipient recipients reliability reliable relief replies retail "
    "said sail science sciences scientific scientist social socially society soil special specially spill spoil "
    "stupid stupidity sufficient suicide supplies tail toilet toilets trail unavailable unpaid vicious voicemail "
    "void "
)
_BY_ONES: Final = {word.replace("i", "1").replace("l", "1"): word for word in _WITH_I.split()}


def likeness(words: Iterable[str]) -> float:
    """The mean over all pairs of letters, 0 to 9: English words lie above 4.5, chance at 3; 0 where there are none."""
    total = pairs = 0
    for word in words:
        before = 0
        for number in word.encode("latin-1", "replace").translate(_NUMBERS):
            total += _LIKELIHOOD[before * _WIDTH + number]
            before = number
        total += _LIKELIHOOD[before * _WIDTH]
        pairs += len(word) + 1
    return total / pairs if pairs else 0.0


def with_i(word: str) -> str | None:
    """The common word that `word` is with each 1 in it an i or an l, where pairs of letters would choose wrongly: "ai"
    is rarer than "al", and yet it is "email". None for all others.
    """
    small = word.lower()
    known = _BY_ONES.get(small.replace("i", "1").replace("l", "1"))
    if known is None or any(is_ not in ("1", is_to_be) for is_, is_to_be in zip(small, known, strict=True)):
        return None
    return known
