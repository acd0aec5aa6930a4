"""What prices and meters a configuration has, in words: a part of what `lockgate check` prints. Pure."""

from __future__ import annotations

from gateway.config.model import Config
from gateway.config.model_meters import CallPrice, Downgrade, MeterEntry, TokenPrices
from gateway.config.shape import Path
from gateway.config.snapshot_meters import counts_money, refused_at, sections, thresholds, unpriced
from gateway.config.units_money import cap_text, money_text, split_cap, token_price_text, window_text


def prices(config: Config) -> list[tuple[str, str]]:
    """(model, what it costs) of every model, if money is counted at all."""
    if not counts_money(config):
        return []
    refused = set(unpriced(config))
    return [
        (alias, "NO PRICE: refused with 402 model_not_priced" if alias in refused else _price(model.price))
        for alias, model in config.models.items()
    ]


def meters(config: Config, most: int) -> tuple[list[tuple[str, str]], int]:
    """Where meters are kept, and (whose, the meters) of the first sections that have some; and of how many in all."""
    found = [(path, entries) for path, _, entries in sections(config) if entries]
    if not found:
        return [], 0
    store = config.stores.meters
    kept = "sqlite in the state directory: this machine only" if store == "sqlite" else store.partition("://")[0]
    said = [(_whose(path), "; ".join(map(meter, entries))) for path, entries in found[:most]]
    return [("kept in", kept), *said], len(found) + 1


def meter(entry: MeterEntry) -> str:
    """`$500 a month in Europe/Berlin: warn at 80%`, `40 at a time`."""
    _, amount = split_cap(entry.cap)
    said = cap_text(entry.cap)
    if entry.window is None:
        said = f"{amount} at a time"
    elif entry.window in ("day", "week", "month"):
        said += f" a {entry.window}" + (f" in {entry.zone}" if entry.zone else "")
    elif entry.window == "lifetime":
        said += " ever"
    else:
        said += f" in {window_text(entry.window)}"
    if entry.per:
        said += f" for each {entry.per}"
    actions = [(share, action) for share, action in thresholds(entry) if (share, action) != (1000, "refuse")]
    told = [f"{_action(action)} at {share / 10:g}%" for share, action in actions]
    if not amount * refused_at(entry) // 1000:
        told.append("NO CALL AT ALL")
    return said + (f" ({', '.join(told)})" if told else "")


def _whose(path: Path) -> str:
    """`gateway`, `model large`, `tenant acme`, `tenant acme, key app`."""
    words = [f"{str(section)[:-1]} {name}" for section, name in zip(path[:-1:2], path[1:-1:2], strict=True)]
    return ", ".join(words) or "gateway"


def _action(action: str | Downgrade) -> str:
    return f"downgrade to {action.downgrade}" if isinstance(action, Downgrade) else action


def _price(price: TokenPrices | CallPrice | str | None) -> str:
    match price:
        case TokenPrices():
            classes = [
                f"{token_price_text(each)} {name.replace('_', ' ')}"
                for name in ("input", "cached_input", "output", "reasoning")
                if (each := getattr(price, name)) is not None
            ]
            return ", ".join(classes + ([f"{money_text(price.request)} a request"] if price.request else []))
        case CallPrice(call=call):
            return f"{money_text(call)} a call"
        case _:
            return str(price)
