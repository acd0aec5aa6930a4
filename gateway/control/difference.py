"""What differs between two configurations, entry by entry. Pure. Secrets are not shown: that they differ is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from gateway.config import units
from gateway.config.model import Config
from gateway.config.model_meters import MeterEntry
from gateway.config.shape import Path, dotted
from gateway.control import written

_HIDDEN: Final = ("api_key", "webhook", "hash", "admin_token", "secret")
_ADDRESSES: Final = (("stores", "meters"), ("stores", "control"))


class Difference(NamedTuple):
    """One entry that differs. `before` and `after` are None where it is not there."""

    path: str
    change: str
    """`added`, `removed` or `changed`."""
    before: Any
    after: Any


def differences(old: Config, new: Config) -> Iterator[Difference]:
    """In the order of the sections; what is equal costs nothing."""
    return _between((), old, new)


def _between(path: Path, old: Any, new: Any) -> Iterator[Difference]:
    if old == new:
        return
    if isinstance(old, Struct) and type(old) is type(new) and not isinstance(old, MeterEntry):
        for info in msgspec.structs.fields(old):
            yield from _between((*path, info.encode_name), getattr(old, info.name), getattr(new, info.name))
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            here = (*path, key)
            if key not in new:
                yield Difference(dotted(here), "removed", _shown(here, old[key]), None)
            elif key not in old:
                yield Difference(dotted(here), "added", None, _shown(here, new[key]))
            else:
                yield from _between(here, old[key], new[key])
    else:
        yield Difference(dotted(path), "changed", _shown(path, old), _shown(path, new))


def _shown(path: Path, value: Any) -> Any:
    """As answers may have it."""
    if value is None:
        return None
    if path[-1] in _HIDDEN or path in _ADDRESSES or (path[0], path[-1]) == ("webhooks", "url"):
        return value if isinstance(value, str) and _is_reference(value) else "…"
    if isinstance(value, Struct):
        if isinstance(value, MeterEntry):
            return written.meters((value,))[0]
        fields = msgspec.structs.fields(value)
        return {info.encode_name: _shown((*path, info.encode_name), getattr(value, info.name)) for info in fields}
    if isinstance(value, Mapping):
        return {str(key): _shown((*path, key), item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_shown((*path, index), item) for index, item in enumerate(value)]
    if path[-1] == "expires" and isinstance(value, int):
        return written.instant(value)
    return value if isinstance(value, str | int | float | bool) else str(value)


def _is_reference(value: str) -> bool:
    """Whether a text is nothing but a reference to the environment, or the store beside us."""
    return value == "sqlite" or bool(units.ENV_REFERENCE.fullmatch(value))
