"""Prices and meters as the data plane reads them: part of the snapshot. Pure.

What a price makes of tokens is in `policy.spend`, when a window begins and ends in `policy.windows`, which bucket of a
meter a request falls in in `policy.meters`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from gateway.config.model import AnyModel, Config, Tenant
from gateway.config.model_meters import Action, CallPrice, Downgrade, MeterEntry, TokenPrices
from gateway.config.shape import Path
from gateway.config.units_money import CALENDAR, QUANTITIES, UNBOUNDED, rolling_s, split_cap

REQUESTS: Final = 0
INPUT: Final = 1
OUTPUT: Final = 2
CONCURRENT: Final = 3
MONEY: Final = 4
"""What a meter counts: requests, input tokens, output tokens, requests that run, nano-dollars. In the order of
`QUANTITIES`."""

MOST_SLOTS: Final = 60
"""A rolling window is kept as at most this many slots, and the one that is being filled."""

WindowKind: TypeAlias = Literal["rolling", "day", "week", "month", "lifetime", "none"]


class Window(Struct, frozen=True):
    """Over what time a meter adds up. "none" is that of concurrency."""

    kind: WindowKind
    seconds: int = 0
    """The length of a rolling one; 0 for the others."""
    slot_s: int = 0
    """The length of its slots; 0 for the others."""
    zone: str = "UTC"
    """Where days, weeks and months begin."""


class Price(Struct, frozen=True):
    """What a model costs: atto-dollars (10⁻¹⁸ USD) for a token of each class, nano-dollars for each request, and for
    each call of a classic model."""

    input: int = 0
    cached_input: int = 0
    output: int = 0
    reasoning: int = 0
    request: int = 0
    call: int = 0


FREE: Final = Price()


class Threshold(Struct, frozen=True):
    """What happens from a share of the cap on. `model` is that of a downgrade, else empty."""

    permille: int
    action: Literal["warn", "downgrade", "clamp"]
    model: str
    amount: int
    """What must be used for it to apply: the share of the stated cap, rounded up."""


class Meter(Struct, frozen=True):
    """A cap, apart from whom it is for: tenants with equal meters share one of these."""

    level: str
    """The section it stands in: gateway, tenant, key, project or model."""
    quantity: int
    """REQUESTS, INPUT, OUTPUT, CONCURRENT or MONEY."""
    cap: int
    """The most that may be used, which is less than stated where it refuses at a share of it."""
    stated_cap: int
    window: Window
    at: tuple[Threshold, ...]
    """Lowest first; `refuse` is not among them, since it is `cap`."""
    per: str
    """One bucket for each end_user, conversation, key, project, model or tenant; "" for one for the section's own
    subject."""
    number: str
    """Tells the meters of one section apart, and stays the same when only caps and thresholds change:
    `usd|month@Europe/Berlin`, `requests|60s|per=end_user`."""


NO_WINDOW: Final = Window("none")


def window_of(entry: MeterEntry) -> Window:
    """The window of a meter; `none` where it names none."""
    if entry.window is None:
        return NO_WINDOW
    if entry.window in CALENDAR:
        return Window(entry.window, zone=entry.zone or "UTC")  # type: ignore[arg-type]  # it is one of the kinds
    if entry.window == UNBOUNDED:
        return Window("lifetime")
    seconds = rolling_s(entry.window)
    return Window("rolling", seconds, -(-seconds // MOST_SLOTS))


def window_name(window: Window) -> str:
    """As bucket keys have it: `month@Europe/Berlin`, `3600s`, `lifetime`, and nothing for no window."""
    match window.kind:
        case "rolling":
            return f"{window.seconds}s"
        case "day" | "week" | "month":
            return f"{window.kind}@{window.zone}"
        case "lifetime":
            return "lifetime"
        case _:
            return ""


def refused_at(entry: MeterEntry) -> int:
    """The share of the cap, in thousandths, from which on a meter refuses."""
    return min([share for share, action in thresholds(entry) if action == "refuse"], default=1000)


def thresholds(entry: MeterEntry) -> list[tuple[int, Action]]:
    """The shares of a meter's cap, in thousandths, at which something happens, and what; lowest first."""
    return sorted(((int(share), action) for share, action in entry.at.items()), key=lambda each: each[0])


def meter(level: str, entry: MeterEntry) -> Meter:
    """The compiled form of a meter that stands in a section of this level."""
    quantity, stated = split_cap(entry.cap)
    window = window_of(entry)
    per = own_per(level, entry)
    number = f"{QUANTITIES[quantity]}|{window_name(window)}" + (f"|per={per}" if per else "")
    at = tuple(
        Threshold(share, *_action(action), amount=-(-stated * share // 1000))
        for share, action in thresholds(entry)
        if action != "refuse"
    )
    return Meter(level, quantity, stated * refused_at(entry) // 1000, stated, window, at, per, number)


def own_per(level: str, entry: MeterEntry) -> str:
    """`per`, or nothing where it says no more than the section does: a key's meter per key, or per tenant."""
    implied = {"tenant": ("tenant",), "project": ("project", "tenant"), "key": ("key", "tenant"), "model": ("model",)}
    return "" if entry.per is None or entry.per in implied.get(level, ()) else entry.per


def _action(action: Action) -> tuple[Literal["warn", "downgrade", "clamp"], str]:
    if isinstance(action, Downgrade):
        return "downgrade", action.downgrade
    return ("warn", "") if action == "warn" else ("clamp", "")


class Meters:
    """Compiles meters, equal ones once: a hundred thousand tenants with the same three meters share three objects."""

    def __init__(self) -> None:
        self._known: dict[Meter, Meter] = {}
        self._sections: dict[tuple[str, bytes], tuple[Meter, ...]] = {}
        self._encode = msgspec.msgpack.Encoder().encode

    def of(self, level: str, entries: tuple[MeterEntry, ...]) -> tuple[Meter, ...]:
        """The meters of one section of this level."""
        if not entries:
            return ()
        written = self._encode(entries)
        found = self._sections.get((level, written))
        if found is None:
            found = tuple([self._known.setdefault(each, each) for each in [meter(level, entry) for entry in entries]])
            self._sections[level, written] = found
        return found


def price_of(model: AnyModel) -> Price | None:
    """The compiled price; None for a model that has none."""
    match model.price:
        case None | "from_price_map":  # the latter is replaced when the configuration is loaded
            return None
        case "free":
            return FREE
        case CallPrice(call=call):
            return Price(call=call)
        case TokenPrices() as prices:
            input_price, output_price = prices.input or 0, prices.output or 0
            return Price(
                input=input_price,
                cached_input=input_price if prices.cached_input is None else prices.cached_input,
                output=output_price,
                reasoning=output_price if prices.reasoning is None else prices.reasoning,
                request=prices.request,
            )


def sections(config: Config) -> Iterator[tuple[Path, str, tuple[MeterEntry, ...]]]:
    """Where meters stand: the path of each section that may have some, its level, and its meters."""
    yield ("meters",), "gateway", config.meters
    for alias, model in config.models.items():
        yield ("models", alias, "meters"), "model", model.meters
    for name, tenant in config.tenants.items():
        yield from sections_of(name, tenant)


def sections_of(name: str, tenant: Tenant) -> Iterator[tuple[Path, str, tuple[MeterEntry, ...]]]:
    """The same of one tenant."""
    here = ("tenants", name)
    yield (*here, "meters"), "tenant", tenant.meters
    for project_name, project in tenant.projects.items():
        yield (*here, "projects", project_name, "meters"), "project", project.meters
    for key_name, key in tenant.keys.items():
        if key.meters:  # of a hundred thousand, most have none
            yield (*here, "keys", key_name, "meters"), "key", key.meters


class Tally(Struct, frozen=True):
    """How many sections have meters, and how many have some that cap money."""

    metered: int = 0
    money: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.metered + other.metered, self.money + other.money)

    def __sub__(self, other: Tally) -> Tally:
        return Tally(self.metered - other.metered, self.money - other.money)


def tally(meters: Iterable[tuple[MeterEntry, ...]]) -> Tally:
    """That of some sections' meters."""
    found = [entries for entries in meters if entries]
    return Tally(len(found), sum(any(entry.cap.endswith(" usd") for entry in entries) for entries in found))


def has_prices(config: Config) -> bool:
    """Whether any model names a price."""
    return any(model.price is not None for model in config.models.values())


def counts_money(config: Config) -> bool:
    """Whether the configuration names a price or caps money: then a model without a price is refused."""
    return has_prices(config) or bool(tally(entries for _, _, entries in sections(config)).money)


def unpriced(config: Config) -> list[str]:
    """The models that are refused for want of a price."""
    if not counts_money(config):
        return []
    return [alias for alias, model in config.models.items() if model.price is None]
