"""What an admin may write for money, token prices, caps, windows, zones and thresholds, and what each means.

As `units`: pure but for the zone database, each function takes the value as it stood in the file and returns the plain
value the gateway works with, or raises `ValueError` with a sentence for the admin. Everything is exact: money is whole
nano-dollars (10⁻⁹ USD), a token's price whole atto-dollars (10⁻¹⁸ USD), and what is finer is an error, not rounded.
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from fractions import Fraction
from functools import cache
from typing import Final

from gateway.config.units import shown

NANO: Final = 10**9
"""Nano-dollars in a dollar."""
ATTO: Final = 10**18
"""Atto-dollars in a dollar."""
MAX_MONEY: Final = 10**9 * NANO
"""The largest amount that may be written: a billion dollars."""
MAX_TOKEN_PRICE: Final = ATTO
"""The highest price of one token: a dollar."""
MAX_COUNT: Final = 10**15
"""The largest cap on requests or tokens."""
MAX_ROLLING_S: Final = 30 * 86_400

QUANTITIES: Final = ("requests", "input_tokens", "output_tokens", "concurrent", "usd")
"""What a meter can count, in the order of `snapshot_meters`; a cap on `usd` is kept in nano-dollars."""
CALENDAR: Final = ("day", "week", "month")
UNBOUNDED: Final = "lifetime"

_AMOUNT = re.compile(r"\$ ?(\d{1,40}(?:\.\d{1,30})?)", re.ASCII)
_PRICE = re.compile(r"\$ ?(\d{1,40}(?:\.\d{1,30})?) ?/ ?(1M|1K|token)", re.ASCII)
_COUNT = re.compile(r"(\d{1,40}(?:\.\d{1,9})?)([KMB])?(?: +|$)(.*)", re.ASCII)
_ROLLING = re.compile(r"(\d{1,8})([smh])", re.ASCII)
_PERMILLE = re.compile(r"(\d{1,3}(?:\.\d{1,3})?) ?%", re.ASCII)
_OTHER_MONEY = re.compile(r"[€£¥₹₽₩]|(?<![A-Za-z])(?:EUR|GBP|JPY|CNY|INR|CHF|CAD|AUD|BTC|[A-Z]{3}(?=\s*\d))")
_PER = {"1M": 10**6, "1K": 10**3, "token": 1}
_FACTORS = {None: 1, "K": 10**3, "M": 10**6, "B": 10**9}
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def money(value: object) -> int:
    """Nano-dollars: `$500`, `$0.00002`."""
    found = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(_no_money(value, "an amount of money such as $500 or $0.00002"))
    return _whole(Fraction(found[1]) * NANO, MAX_MONEY, "nano-dollars (nine decimals)", "at most $1000000000")


def token_price(value: object) -> int:
    """Atto-dollars a token: `$0.05/1M`, `$2/1K`, `$0.0000001/token`."""
    found = _PRICE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        if isinstance(value, str) and _AMOUNT.fullmatch(value):
            raise ValueError(f"say for how many tokens: {value}/1M, {value}/1K or {value}/token")
        raise ValueError(_no_money(value, "a price of tokens such as $0.05/1M, $2/1K or $0.0000001/token"))
    price = Fraction(found[1]) * ATTO / _PER[found[2]]
    return _whole(price, MAX_TOKEN_PRICE, "atto-dollars (10⁻¹⁸ $) a token", "at most $1 a token")


def any_price(text: str) -> int:
    """What a price of tokens or of a request is, for comparing two of the same kind."""
    return token_price(text) if "/" in text else money(text)


def cap(value: object) -> str:
    """`AMOUNT QUANTITY`, the amount a whole number (of nano-dollars for `usd`): from `$500`, `2M output_tokens`,
    `600 requests`, `40 concurrent`."""
    text = value if isinstance(value, str) else ""
    if "$" in text or _OTHER_MONEY.search(text) or "usd" in text.lower():
        return f"{money(text)} usd"
    found = _COUNT.fullmatch(text)
    if found is None:
        if text.lstrip().startswith("-"):
            raise ValueError("a cap is not negative; a cap of 0 lets no call through")
        got = f", got {shown(value)}" if not isinstance(value, str) else ""
        raise ValueError(f"expected a cap such as $500, 2M output_tokens, 600 requests or 40 concurrent{got}")
    words = [quantity for quantity in QUANTITIES if quantity != "usd"]
    if found[3] not in words:
        if not found[3]:
            raise ValueError(f"a cap of what? Write ${text}, or {text} and one of {', '.join(words)}")
        close = difflib.get_close_matches(found[3][:80], words, n=1)
        near = f"did you mean {close[0]}?" if close else f"known: {', '.join(words)}, and amounts such as $500"
        raise ValueError(f"{shown(found[3])} is not a quantity; {near}")
    count = Fraction(found[1]) * _FACTORS[found[2]]
    return f"{_whole(count, MAX_COUNT, found[3], 'at most 1000000B')} {found[3]}"


def split_cap(text: str) -> tuple[int, int]:
    """(the quantity's place in QUANTITIES, amount) of what `cap` returned."""
    amount, _, quantity = text.partition(" ")
    return QUANTITIES.index(quantity), int(amount)


def window(value: object) -> str:
    """`day`, `week`, `month`, `lifetime`, or a rolling one as its seconds (`3600s`): from `60s`, `5m`, `1h`."""
    if isinstance(value, str):
        if value in CALENDAR or value == UNBOUNDED:
            return value
        found = _ROLLING.fullmatch(value)
        if found is not None:
            seconds = int(found[1]) * _SECONDS[found[2]]
            if 1 <= seconds <= MAX_ROLLING_S:
                return f"{seconds}s"
            raise ValueError("a rolling window is from 1s to 720h (30 days); longer ones are month and lifetime")
        if re.fullmatch(r"\d+ ?(d|w|M|mo|y|days?|weeks?|months?)", value):
            raise ValueError("a rolling window is in s, m or h (24h, 168h); a calendar one is day, week or month")
        close = difflib.get_close_matches(value[:40], [*CALENDAR, UNBOUNDED], n=1, cutoff=0.4)
        if close:
            raise ValueError(f"{shown(value)} is not a window; did you mean {close[0]}?")
    raise ValueError("expected a rolling window such as 60s, 5m or 1h, or day, week, month or lifetime")


def rolling_s(text: str) -> int:
    """The seconds of a rolling window as `window` returned it; 0 for the others."""
    return int(text[:-1]) if text[:1].isdigit() else 0


def zone(value: object) -> str:
    """The name of a time zone in the zone database: `Europe/Berlin`, `UTC`."""
    known = _zones()
    if isinstance(value, str) and value in known:
        return value
    if not isinstance(value, str) or re.fullmatch(r"(UTC|GMT)?[+-]\d.*", value):
        raise ValueError("expected a time zone by its name, such as Europe/Berlin or UTC")
    same = [name for name in sorted(known) if name.lower() == value.lower()]
    ends = [name for name in sorted(known) if name.lower().endswith("/" + value.lower().replace(" ", "_"))]
    close = same or ends or difflib.get_close_matches(value[:60], sorted(known), n=1)
    near = f"did you mean {close[0]}?" if close else "such as Europe/Berlin or UTC"
    raise ValueError(f"there is no time zone {shown(value)}; {near}")


@cache
def _zones() -> frozenset[str]:
    """Zones that mean the same on every machine."""
    return frozenset(zoneinfo.available_timezones()) - {"localtime", "Factory"} | {"UTC"}


def permille(value: object) -> str:
    """Thousandths, as text (it is a key of a map), from a share such as `80%` or `99.5%`, above 0 and up to 100%."""
    found = _PERMILLE.fullmatch(value) if isinstance(value, str) else None
    share = Fraction(found[1]) * 10 if found is not None else Fraction(0)
    if not 0 < share <= 1000:
        raise ValueError("expected a share of the cap above 0% and up to 100%, with its % sign, such as 80%")
    if share.denominator != 1:
        raise ValueError("a share of the cap has at most one decimal, such as 99.5%")
    return str(int(share))


def money_text(nanos: int) -> str:
    """An amount as an admin reads it, exactly: `$500`, `$0.00002`, `-$1.5`."""
    whole, rest = divmod(abs(nanos), NANO)
    decimals = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{'-' if nanos < 0 else ''}${whole}{decimals}"


def token_price_text(atto: int) -> str:
    """A token's price, exactly, for a million of them: `$0.05/1M`."""
    whole, rest = divmod(atto * 10**6, ATTO)
    decimals = f".{rest:018d}".rstrip("0") if rest else ""
    return f"${whole}{decimals}/1M"


def cap_text(text: str) -> str:
    """A cap, as `cap` returned it, the way it is written: `$500`, `2M output_tokens`."""
    quantity, amount = split_cap(text)
    if QUANTITIES[quantity] == "usd":
        return money_text(amount)
    for suffix, factor in (("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if amount and amount % factor == 0:
            return f"{amount // factor}{suffix} {QUANTITIES[quantity]}"
    return f"{amount} {QUANTITIES[quantity]}"


def window_text(text: str) -> str:
    """A window, as `window` returned it, the way it is written: `1h`, `60s` as `1m`, `month`."""
    seconds = rolling_s(text)
    if not seconds:
        return text
    return next(f"{seconds // size}{unit}" for unit, size in (("h", 3600), ("m", 60), ("s", 1)) if seconds % size == 0)


def _whole(amount: Fraction, most: int, of: str, at_most: str) -> int:
    if amount > most:
        raise ValueError(f"expected {at_most}")
    if amount.denominator != 1:
        raise ValueError(f"expected a whole number of {of}")
    return int(amount)


def _no_money(value: object, expected: str) -> str:
    """Why this is not money."""
    text = value if isinstance(value, str) else ""
    if text.replace("$", "").lstrip().startswith("-") or (isinstance(value, int | float) and value < 0):
        return "an amount of money is not negative"
    if _OTHER_MONEY.search(text):
        return "only US dollars are known, written with $: prices, caps and charges are in one currency"
    if "," in text or "_" in text:
        return f"expected {expected}, without separators of thousands"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"expected {expected}, with its $ sign, got {shown(value)}"
    return f"expected {expected}" + (f", got {shown(value)}" if isinstance(value, str) else "")
