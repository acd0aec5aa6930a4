"""What requests and answers of the administration look like, as the OpenAPI document tells it.

Only the outline of a body is judged here; names, caps, windows and all that stands between entries are judged as the
configuration's files are, with the same words (`documents`).
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from gateway.config.model_meters import MAX_METERS
from gateway.control.keys import MOST_OVERLAP_S

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


class _Taken(BaseModel):
    """Base of bodies: what is not known is refused, and a text is no number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Downgrade(_Taken):
    """Another model answers."""

    downgrade: str


class MeterBody(_Taken):
    """A cap on what is used within a window."""

    cap: Cap
    window: Window | None = None
    zone: str | None = Field(default=None, description="Where days, weeks and months begin; UTC when left out.")
    per: Literal["end_user", "conversation", "key", "project", "model", "tenant"] | None = None
    at: dict[str, Downgrade | Literal["warn", "clamp", "refuse"]] | None = Field(
        default=None, description='What happens from a share of the cap on: {"80%": "warn"}.'
    )


Meters: TypeAlias = Annotated[list[MeterBody], Field(max_length=MAX_METERS)]


class NewTenant(_Taken):
    """A tenant to be made."""

    name: Name
    models: Models
    meters: Meters = []


class TenantChange(_Taken):
    """What of a tenant is to be changed."""

    models: Models | None = None
    meters: Meters | None = None


class NewProject(_Taken):
    """A project to be made."""

    name: Name
    meters: Meters = []


class ProjectChange(_Taken):
    """What of a project is to be changed."""

    meters: Meters | None = None


class NewKey(_Taken):
    """A key to be made; its secret is in the answer, this once."""

    name: Name
    expires: Expires | None = None
    models: Models = Field(default=[], description="Those of the tenant's models that it may use; all when empty.")
    projects: list[Name] = []
    meters: Meters = []


class KeyChange(_Taken):
    """What of a key is to be changed; null takes it away."""

    expires: Expires | None = None
    models: Models | None = None
    projects: list[Name] | None = None
    meters: Meters | None = None


class Rotation(_Taken):
    """How a secret is replaced."""

    overlap_s: int = Field(
        default=3600, ge=0, le=MOST_OVERLAP_S, description="So long the old one goes on; 0: no more."
    )


class CapChange(_Taken):
    """Another cap for a meter, of the same quantity."""

    cap: Cap


class EndpointBody(_Taken):
    """One of a backend's endpoints, as the configuration has it."""

    endpoint: Annotated[str, Field(json_schema_extra={"example": "http://gpu-1:8000"})]


class GrantBody(_Taken):
    """A role, for the whole gateway or (admin, viewer) for one tenant."""

    role: Role
    tenant: Name | None = None


class NewPrincipal(_Taken):
    """A principal to be made; its token is in the answer, this once."""

    name: Name
    roles: Annotated[list[GrantBody], Field(min_length=1, max_length=100)]
    subject: Annotated[str, Field(max_length=200, description="The person or system it is.")] = ""
    expires: Expires | None = None


class PrincipalChange(_Taken):
    """What of a principal is to be changed."""

    roles: Annotated[list[GrantBody], Field(min_length=1, max_length=100)] | None = None
    subject: Annotated[str, Field(max_length=200)] | None = None
    expires: Expires | None = None


class FilesBody(_Taken):
    """A configuration: names of files and their texts."""

    files: dict[str, str] = Field(json_schema_extra={"example": {"gateway.yaml": "tenants: {}"}})


# -- answers


class _Stored(BaseModel):
    """What answers tell of any entry."""

    version: int | None = Field(description="Of an entry of the store; the etag is the same.")
    created_at: str | None
    created_by: str | None
    changed_at: str | None
    gone_at: str | None = Field(description="When it was removed.")


class _Sourced(_Stored):
    source: Literal["files", "api"]
    place: str | None = Field(description="file:line of what the files declare, which is changed there.")


class TenantAnswer(_Sourced):
    name: str
    models: list[str]
    meters: list[MeterBody] = []


class ProjectAnswer(_Sourced):
    tenant: str
    name: str
    meters: list[MeterBody] = []


class KeyAnswer(_Sourced):
    tenant: str
    name: str
    expires: str | None = None
    models: list[str] = []
    projects: list[str] = []
    meters: list[MeterBody] = []
    previous_expires: str | None = Field(default=None, description="Until when the secret before this one is valid.")


class IssuedKey(KeyAnswer):
    secret: str | None = Field(description="Shown this once; null where the request is repeated: rotate for another.")


class PrincipalAnswer(_Stored):
    name: str
    subject: str = ""
    roles: list[GrantBody]
    expires: str | None = None


class IssuedPrincipal(PrincipalAnswer):
    token: str | None = Field(description="Shown this once; null where the request is repeated: rotate for another.")


class MeterAnswer(BaseModel):
    """How a bucket of a meter stands: whole numbers, of money in nano-dollars."""

    bucket: str
    level: str
    tenant: str | None
    subject: str
    quantity: str
    window: str | None
    instance: str | None
    used: int
    leased: int
    cap: int
    cap_text: str
    left: int


class ModelAnswer(BaseModel):
    alias: str
    kind: str
    backend: str | None
    served_model: str | None
    fallback: list[str]
    versions: list[str]
    priced: bool
    meters: list[MeterBody]
    source: Literal["files"]
    place: str


class EndpointAnswer(BaseModel):
    url: str
    drained: bool
    outstanding: float | None = Field(description="Attempts that run there now; null where no gateway answers.")
    breaker_open: float | None = Field(description="Share of the workers that hold it for broken.")


class BackendAnswer(BaseModel):
    name: str
    kind: str
    provider: str | None
    endpoints: list[EndpointAnswer]
    source: Literal["files"]
    place: str


class DrainAnswer(BaseModel):
    backend: str
    endpoint: str
    drained: bool


class SnapshotAnswer(BaseModel):
    digest: str
    at: str | None
    base: str | None = Field(description="The snapshot that it was kept as a change of; null of a whole one.")
    bytes: int | None


class SnapshotDetail(SnapshotAnswer):
    backends: int
    models: int
    tenants: int
    projects: int
    keys: int
    description: list[str]


class DifferenceAnswer(BaseModel):
    path: str
    change: Literal["added", "removed", "changed"]
    before: Any
    after: Any


class DiffAnswer(BaseModel):
    old: str
    new: str
    items: list[DifferenceAnswer]
    more: bool


class CheckAnswer(BaseModel):
    ok: bool
    problems: list[str]
    doubts: list[str]
    description: list[str]


class ChangeAnswer(BaseModel):
    seq: int
    at: str
    principal: str
    subject: str
    via: str
    request_id: str
    action: Literal["create", "update", "delete"]
    kind: str
    tenant: str | None
    name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None
    hash: str


class VerifyAnswer(BaseModel):
    whole: bool
    count: int | None
    head: str | None = Field(description="SEQ:HASH: note it elsewhere, and verify against it later.")
    seq: int | None = Field(description="The change at which it shows that the log is not whole.")
    problem: str | None


class WhoAnswer(BaseModel):
    name: str
    subject: str
    roles: list[GrantBody]


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
