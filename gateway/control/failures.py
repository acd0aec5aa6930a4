"""Wrong tokens, slowed by where they come from. Pure.

After `FREE` of them a source is not listened to for a second, then for two, four, up to `MOST_S`; its right tokens are
not either, or the wait would tell which are right. A success does not end it, since whoever guesses may have a token of
their own. What is done on the machine itself (`--state-dir`) does not pass here.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Final

FREE: Final = 5
MOST_S: Final = 30.0
FORGOTTEN_S: Final = 600.0
"""So long after its last failure a source begins anew."""
MOST_SOURCES: Final = 10_000
"""The longest silent ones are forgotten beyond."""


class Failures:
    """Counts, by source."""

    def __init__(self) -> None:
        self._sources: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, source: str, now_s: float) -> float:
        """How long the source is not listened to; 0 when it is. `now_s`: monotonic time."""
        count, last_s = self._sources.get(source, (0, 0.0))
        if count < FREE:
            return 0.0
        return max(0.0, last_s + min(MOST_S, 2.0 ** (count - FREE)) - now_s)

    def failed(self, source: str, now_s: float) -> int:
        """Counts one; the number of them in a row."""
        count, last_s = self._sources.pop(source, (0, 0.0))
        count = 1 if now_s - last_s > FORGOTTEN_S else count + 1
        self._sources[source] = (count, now_s)
        if len(self._sources) > MOST_SOURCES:
            self._sources.popitem(last=False)
        return count


def source_of(host: str) -> str:
    """What counts as one source: an address, of IPv6 its network of 64 bits, which one customer has whole."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 4:
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((address, 64), strict=False))
