"""The leaves of the configuration: what a name, a size, a time or a secret may be, and the base of all sections.

Each leaf says how it is written (`units` reads it) and what an error says is allowed. The sections themselves are in
`model` and `model_meters`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct


def unit(name: str, allowed: str) -> Meta:
    """How a leaf is written (`units.<name>` reads it, if there is one) and what an error says is allowed."""
    return Meta(extra={"unit": name, "allowed": allowed})


_NAME_RULE = "letters, digits, '.', '_' and '-' (at most 64, a letter or digit first)"
_ALIAS_RULE = "letters, digits and any of . _ - : / @ + (at most 200, a letter or digit first)"
_END = r"$(?!\n)"  # `$` alone would let a trailing newline through

Name: TypeAlias = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,63}" + _END), unit("text", f"a name: {_NAME_RULE}")
]
Alias: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-:/@+]{0,199}" + _END),
    unit("text", f"a model's name: {_ALIAS_RULE}"),
]
ServedName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[^\x00-\x20\x7f][^\x00-\x1f\x7f]{0,499}" + _END),
    unit("text", "the backend's name for the model (at most 500 characters, no control characters)"),
]
AliasPattern: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9*][A-Za-z0-9._\-:/@+*]{0,199}" + _END),
    unit("text", f"a model's name, in which * stands for any run of characters: {_ALIAS_RULE}"),
]
Path: TypeAlias = Annotated[
    str, Meta(pattern=r"^[^\x00\n]{1,4096}" + _END), unit("text", "a path (relative to the working directory)")
]
Size: TypeAlias = Annotated[
    int,
    Meta(ge=1, le=2**40),
    unit("size", "a size from 1 byte to 1TiB, such as 20MB"),
]
Tokens: TypeAlias = Annotated[int, Meta(ge=1, le=10**9), unit("number", "a whole number of tokens, at least 1")]
Seconds: TypeAlias = Annotated[
    float, Meta(gt=0, le=86_400), unit("number", "a number of seconds, more than 0 and at most 86400")
]
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1), unit("share", "a share such as 20%")]
Instant: TypeAlias = Annotated[
    int,
    unit("instant", "a date or a time with its zone"),
]
Digest: TypeAlias = Annotated[
    bytes,
    unit("digest", "sha256: and 64 hexadecimal digits"),
]
ModelDigest: TypeAlias = Annotated[
    str, Meta(pattern=r"^sha256:[0-9a-f]{64}" + _END), unit("text", "sha256: and 64 hexadecimal digits")
]
VersionName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,31}" + _END),
    unit("text", "a version such as 3 or 3.1 (letters, digits and . _ -, at most 32)"),
]
ColumnName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[^\x00-\x1f\x7f]{1,200}" + _END),
    unit("text", "a column's name (at most 200 characters, no control characters)"),
]
Scalar: TypeAlias = Annotated[str | bool | int | float, unit("text", "a text, a number, true or false")]
Bound: TypeAlias = Annotated[int | float, unit("number", "a number")]
Listen: TypeAlias = Annotated[str, unit("address", "host:port")]
Url: TypeAlias = Annotated[str, unit("url", "http://host:port, https://host or unix:///path.sock")]
BaseUrl: TypeAlias = Annotated[
    str, unit("base_url", "http://host:port/path or https://host/path, as the provider's documentation gives it")
]
ProviderName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9][a-z0-9_\-]{0,63}" + _END),
    unit("text", "litellm's name of a provider, such as openai, anthropic, azure or bedrock"),
]
Webhook: TypeAlias = Annotated[str, unit("webhook", "https://host/path, where a POST is taken")]
OtlpUrl: TypeAlias = Annotated[str, unit("otlp", "http://host:4318 or https://host/path, where OTLP is taken")]
HeaderName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,63}" + _END),
    unit("text", "a header's name: letters, digits, '_' and '-' (at most 64)"),
]
Header: TypeAlias = Annotated[str, unit("header", "a header's value, best as ${NAME}")]
StoreUrl: TypeAlias = Annotated[
    str, unit("store", "sqlite, redis://host:port/0, rediss://host:port/0 or postgresql://user@host/database")
]
ControlStoreUrl: TypeAlias = Annotated[str, unit("control_store", "sqlite, or postgresql://user@host/database")]
Place: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[^\x00\n@?#]{1,1000}" + _END),
    unit("text", "a folder, or an address such as s3://bucket/records, without @, ? and #"),
]
Days: TypeAlias = Annotated[int, Meta(ge=0, le=36_500), unit("number", "a number of days from 0 to 36500")]
LogLevel: TypeAlias = Annotated[
    Literal["debug", "info", "warning", "error"], unit("text", "debug, info, warning or error")
]
Secret: TypeAlias = Annotated[str, unit("secret", "a secret, best as ${NAME}")]
AdminToken: TypeAlias = Annotated[str, unit("admin_token", "a random text of at least 32 characters, best as ${NAME}")]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections: keyword-only, frozen, and an unknown key is an error."""
