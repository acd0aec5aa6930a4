"""What an admin may write for sizes, shares, dates, addresses, URLs and key hashes, and what each means.

Every function here is pure, takes the value as it stood in the file and returns the plain value the gateway works
with, or raises `ValueError` with a sentence for the admin. No message repeats a value that may hold a secret.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import NamedTuple
from urllib.parse import urlsplit

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) ?(B|KB|MB|GB|KiB|MiB|GiB)?", re.ASCII)
_FACTORS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?) ?%", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_HASH = re.compile(r"sha256:([0-9a-fA-F]{64})")
_HOST = re.compile(r"\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?", re.ASCII)
_SOCKET_PATH_BYTES = 107
"""The longest path of a unix socket on Linux (`sun_path`, 108 bytes with its end)."""

ADMIN_TOKEN_CHARS = 32
_TOKEN_VARIETY = 8
"""A random token has at least as many different characters; `0000…` and `changeme` repeated do not."""

STORE_SCHEMES = ("redis", "rediss", "postgresql")
"""The servers that can keep meters."""

ENV_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRETS = re.compile(r"\b(lg|sk|pk|hf|gh[a-z])([-_])[A-Za-z0-9_\-]{12,}|[A-Za-z0-9_+=]{36,}")


class Address(NamedTuple):
    """Where to listen. `host` is without brackets; port 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def size(value: object) -> int:
    """Bytes: `20MB` (10⁶), `32KiB` (2¹⁰), or a plain number of bytes."""
    if type(value) is int and value >= 0:
        return value
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("expected a size such as 20MB, 32KB, 1GiB, or a number of bytes")
    count = Decimal(found[1]) * _FACTORS[found[2] or "B"]
    if count != int(count):
        raise ValueError("expected a whole number of bytes")
    return int(count)


def share(value: object) -> float:
    """A share from 0 to 1, written with its unit (`20%`), since a bare 20 or 0.2 could be read both ways."""
    found = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if found is None or Decimal(found[1]) > 100:
        raise ValueError("expected a share from 0% to 100%, with its % sign")
    return float(Decimal(found[1]) / 100)


def instant(value: object) -> int:
    """Seconds since 1970 UTC at which something ends; a date includes that whole day in UTC."""
    try:
        if isinstance(value, str):
            if _DATE.fullmatch(value):
                end = datetime.combine(date.fromisoformat(value) + timedelta(days=1), time(), UTC)
                return int(end.timestamp())
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                return int(moment.timestamp())
    except (ValueError, OverflowError):
        pass
    raise ValueError("expected a date (2027-06-30, valid to the end of that day in UTC) or a time with its zone")


def digest(value: object) -> bytes:
    """The 32 bytes of a key's SHA-256, written `sha256:` and 64 hexadecimal digits."""
    found = _HASH.fullmatch(value) if isinstance(value, str) else None
    if found:
        return bytes.fromhex(found[1])
    if isinstance(value, str) and not value.startswith("sha256:"):
        raise ValueError(
            "this is not a hash and may be the secret itself (not repeated here): replace the key, "
            "and put the sha256:… line that `lockgate keys new` prints"
        )
    raise ValueError("expected sha256: and 64 hexadecimal digits, as `lockgate keys new` prints them")


def split_address(text: str) -> Address:
    """`host:port`, `[ipv6]:port`; an empty host is not one (write 0.0.0.0 to listen everywhere)."""
    host, _, port = text.rpartition(":")
    if _HOST.fullmatch(host) and re.fullmatch(r"[0-9]{1,5}", port) and int(port) <= 65535:
        return Address(host.strip("[]"), int(port))
    raise ValueError("expected host:port, such as 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080")


def address(value: object) -> str:
    """The same as `split_address`, kept as normalised text."""
    if not isinstance(value, str):
        raise ValueError("expected host:port, such as 127.0.0.1:8080")
    return str(split_address(value))


def env_names(text: str) -> list[str]:
    """The environment variables that a text refers to as `${NAME}`, in order."""
    return ENV_REFERENCE.findall(text)


def resolve_env(text: str, environ: Mapping[str, str]) -> str:
    """`text` with every `${NAME}` replaced; ValueError names what is unset, empty or malformed. Values are not
    expanded again."""
    for name in env_names(text):
        if not environ.get(name):
            state = "empty" if name in environ else "not set"
            raise ValueError(f"the environment variable {name} is {state}")
    if "${" in ENV_REFERENCE.sub("", text):
        raise ValueError("write a reference to the environment as ${NAME}")
    return ENV_REFERENCE.sub(lambda found: environ[found[1]], text)


def is_unset(text: str, environ: Mapping[str, str]) -> bool:
    """Whether `text` is one reference to a variable that is not there, or is empty."""
    found = ENV_REFERENCE.fullmatch(text)
    return found is not None and not environ.get(found[1])


def check_url(url: str) -> None:
    """An endpoint's address with its references already resolved: a scheme, a host, perhaps a port; or
    `unix:///path.sock`."""
    if any(ord(char) <= 32 or ord(char) >= 127 for char in url):
        raise ValueError("a URL holds neither spaces, control characters nor letters outside ASCII")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError("not a URL: expected http://host:port, https://host or unix:///path.sock") from error
    if parts.scheme == "unix":
        if parts.netloc or len(parts.path) < 2 or parts.query or parts.fragment:
            raise ValueError("expected unix:// and an absolute path, such as unix:///run/model.sock")
        if len(parts.path) > _SOCKET_PATH_BYTES:
            raise ValueError(f"the path of a unix socket is at most {_SOCKET_PATH_BYTES} bytes")
        return
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError("expected http://host:port, https://host or unix:///path.sock")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL holds no credentials: put them into the backend's api_key as ${NAME}")
    if not _HOST.fullmatch(parts.netloc.rpartition(":")[0] if port is not None else parts.netloc.rstrip(":")):
        raise ValueError("the URL's host is not a host name or address")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("expected only scheme, host and port: the gateway adds /v1/… itself")


def check_base_url(url: str) -> None:
    """The address of a provider's API with its references already resolved: a scheme, a host, perhaps a port and a
    path."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError("not a URL: expected https://host/path") from error
    if parts.query or parts.fragment:
        raise ValueError("expected only scheme, host, port and path")
    check_url(parts._replace(path="").geturl())
    if parts.scheme == "unix" or any(ord(char) <= 32 or ord(char) >= 127 for char in parts.path):
        raise ValueError("expected https://host/path, without spaces or letters outside ASCII")


def check_webhook(url: str) -> None:
    """Where a webhook is posted, with its references already resolved: as `check_base_url`, and a query is allowed."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError("not a URL: expected https://host/path") from error
    if any(ord(char) <= 32 or ord(char) >= 127 for char in parts.query):
        raise ValueError("a URL holds neither spaces, control characters nor letters outside ASCII")
    check_base_url(parts._replace(query="").geturl())


def check_store(url: str) -> None:
    """Where meters are kept, with its references already resolved: `sqlite`, or the address of a server."""
    expected = "expected sqlite, redis://host:port/0, rediss://host:port/0 or postgresql://user@host/database"
    if url == "sqlite":
        return
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(expected) from error
    if any(ord(char) <= 32 or ord(char) >= 127 for char in url) or parts.fragment:
        raise ValueError(expected)
    if parts.scheme not in STORE_SCHEMES:
        close = difflib.get_close_matches(parts.scheme or url[:20], ["sqlite", *STORE_SCHEMES], n=1)
        raise ValueError(expected + (f"; did you mean {close[0]}?" if close else ""))
    if not host or port == 0:
        raise ValueError(f"{parts.scheme}:// needs a host: {expected}")
    if parts.scheme != "postgresql" and not re.fullmatch(r"(/\d{0,4})?", parts.path, re.ASCII):
        raise ValueError("after a Redis's host stands the number of its database, such as /0")


def check_control_store(url: str) -> None:
    """Where what is made by API is kept, with its references already resolved."""
    if url != "sqlite" and not url.startswith("postgresql://"):
        raise ValueError("expected sqlite, or postgresql://user@host/database")
    check_store(url)


def holds_password(url: str) -> bool:
    """Whether an address names a password."""
    try:
        return bool(urlsplit(url).password)
    except ValueError:
        return False


def check_secret(text: str) -> None:
    """A secret with its references already resolved."""
    if not text.strip() or any(ord(char) < 33 or ord(char) > 126 for char in text):
        raise ValueError("a secret is printable ASCII without spaces, and not empty")


def check_header(text: str) -> None:
    """A header's value with its references already resolved."""
    if not text.strip() or text != text.strip() or any(ord(char) < 32 or ord(char) > 126 for char in text):
        raise ValueError("a header's value is printable ASCII, not empty, without spaces around it")


def check_admin_token(text: str) -> None:
    """The admin token with its references already resolved: one that nobody can guess."""
    check_secret(text)
    if len(text) < ADMIN_TOKEN_CHARS or len(set(text)) < _TOKEN_VARIETY:
        raise ValueError(
            f"expected at least {ADMIN_TOKEN_CHARS} random characters, such as `openssl rand -hex 32` prints"
        )


def leaves_in_clear(url: str | None) -> bool:
    """Whether what is sent to `url` can be read on its way: http, and not to this machine."""
    parts = urlsplit(url or "")
    host = parts.hostname or ""
    return parts.scheme == "http" and not (host in ("localhost", "::1") or host.startswith("127."))


def shown(value: object) -> str:
    """A value as an error may show it: short, on one line, and without anything that looks like a secret."""
    text = value if isinstance(value, str) else repr(value)
    text = _SECRETS.sub(lambda found: f"{found[1] or ''}{found[2] or ''}…", text)
    text = repr(text)[1:-1] if not text.isprintable() else text
    text = text if len(text) <= 60 else text[:59] + "…"
    return f'"{text}"' if isinstance(value, str) else text
