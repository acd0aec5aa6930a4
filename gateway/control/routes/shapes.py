"""What requests and answers of the administration look like, as the OpenAPI document tells it.

Only the outline of a body is judged here; names, caps, windows and all that stands between entries are judged as the
configuration's files are, with the same words (`documents`).
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from gateway.config.model_meters import MAX_METERS

Name: TypeAlias = Annotated[
    str,
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", "example": "acme"}),
]
Expires: TypeAlias = Annotated[
    str,
    Field(
        description="Its last day (2027-06-30, to its end in UTC), or a moment with its zone (2027-06-30T12:00:00Z).",
        json_schema_extra={"example": "2027-06-30"},
    ),
]
Window: TypeAlias = Annotated[
    str, Field(description="60s, 5m, 1h, …, or day, week, month, lifetime.", json_schema_extra={"example": "month"})
]
Cap: TypeAlias = Annotated[
    str,
    Field(
        description="$500, 2M output_tokens, 600 requests, 40 concurrent, …; 0 lets no call through.",
        json_schema_extra={"example": "$500"},
    ),
]
Role: TypeAlias = Literal["owner", "admin", "operator", "viewer"]
Models: TypeAlias = Annotated[
    list[str],
    Field(description="Aliases; * stands for any run of characters.", json_schema_extra={"example": ["openai/*"]}),
]


class Taken(BaseModel):
    """Base of bodies: what is not known is refused, and a text is no number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Downgrade(Taken):
    """Another model answers."""

    downgrade: str


class MeterBody(Taken):
    """A cap on what is used within a window."""

    cap: Cap
    window: Window | None = None
    zone: str | None = Field(default=None, description="Where days, weeks and months begin; UTC when left out.")
    per: Literal["end_user", "conversation", "key", "project", "model", "tenant"] | None = None
    at: dict[str, Downgrade | Literal["warn", "clamp", "refuse"]] | None = Field(
        default=None, description='What happens from a share of the cap on: {"80%": "warn"}.'
    )


class ContentBody(Taken):
    """What is kept of what is said. Nothing is, of a tenant without it."""

    record: Literal["masked", "full"] = Field(
        description="As a backend was asked and answered, which a chain has to mask; or as it was sent and got."
    )
    retention_days: int = Field(default=30, ge=1, le=3_650, description="How many days it is kept.")
    key: str | None = Field(
        default=None, description="`${NAME}`, a secret of the gateway's environment that locks its keys."
    )


Meters: TypeAlias = Annotated[list[MeterBody], Field(max_length=MAX_METERS)]


class Stored(BaseModel):
    """What answers tell of any entry."""

    version: int | None = Field(description="Of an entry of the store; the etag is the same.")
    created_at: str | None
    created_by: str | None
    changed_at: str | None
    gone_at: str | None = Field(description="When it was removed.")


class Sourced(Stored):
    source: Literal["files", "api"]
    place: str | None = Field(description="file:line of what the files declare, which is changed there.")


class Fault(BaseModel):
    """What went wrong, and whose move it is."""

    model_config = ConfigDict(extra="allow")
    code: str
    message: str
    param: str | None


class FaultAnswer(BaseModel):
    error: Fault


Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """Some of a list. `next` goes into `after` of the next request; null on the last page."""

    items: list[Item]
    next: str | int | None
