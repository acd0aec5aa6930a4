"""What stands in the configuration about money: prices, meters, projects, and where meters are kept.

As `model`: frozen structs, the docstring under a field is its meaning. Values are plain: money is nano-dollars, a
token's price atto-dollars, shares of a cap are thousandths (as text, being keys of a map). How they are written is in
`units_money`, what must hold between them in `review_meters`, and what they become in `snapshot_meters`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, field

from gateway.config.leaves import Alias, ControlStoreUrl, Days, Name, Place, Section, StoreUrl, unit
from gateway.config.units_money import MAX_MONEY, MAX_TOKEN_PRICE

MAX_METERS = 32
"""The most meters of one section."""

Money: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_MONEY), unit("money", "an amount such as $0.00002")]
TokenPrice: TypeAlias = Annotated[
    int, Meta(ge=0, le=MAX_TOKEN_PRICE), unit("token_price", "a price such as $0.05/1M, $2/1K or $0.0000001/token")
]
Cap: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[0-9]{1,19} [a-z_]{1,20}$"),
    unit("cap", "a cap such as $500, 2M output_tokens, 600 requests or 40 concurrent"),
]
WindowText: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^([0-9]{1,8}s|day|week|month|lifetime)$"),
    unit("window", "a rolling window such as 60s, 5m or 1h, or day, week, month or lifetime"),
]
Zone: TypeAlias = Annotated[str, unit("zone", "a time zone such as Europe/Berlin")]
Permille: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[1-9][0-9]{0,3}$"),
    unit("permille", "a share of the cap such as 80%, more than 0% and at most 100%"),
]
Per: TypeAlias = Annotated[
    Literal["end_user", "conversation", "key", "project", "model", "tenant"],
    unit("text", "end_user, conversation, key, project, model or tenant"),
]


class TokenPrices(Section, frozen=True, kw_only=True):
    """What a model's tokens cost, by class, and each request."""

    input: TokenPrice | None = None
    """A token of input that was not cached, such as `$0.05/1M`."""
    cached_input: TokenPrice | None = None
    """A token of input that the backend had cached; as `input` when left out."""
    output: TokenPrice | None = None
    """A token of output. Left out (for embeddings), output costs nothing."""
    reasoning: TokenPrice | None = None
    """A token of reasoning; as `output` when left out."""
    request: Money = 0
    """Each request, whatever its tokens, such as `$0.001`."""


class CallPrice(Section, frozen=True, kw_only=True):
    """What a call of a classic model costs."""

    call: Money
    """Each call, whatever its rows, such as `$0.00002`."""


ModelPrice: TypeAlias = Annotated[
    TokenPrices | Annotated[Literal["free", "from_price_map"], unit("text", "free, from_price_map or a map of prices")],
    unit("price", "free, from_price_map, or a map such as {input: $0.05/1M, output: $0.15/1M}"),
]
ClassicPrice: TypeAlias = Annotated[
    CallPrice | Annotated[Literal["free"], unit("text", "free, or a map such as {call: $0.00002}")],
    unit("price", "free, or a map such as {call: $0.00002}"),
]


class Downgrade(Section, frozen=True, kw_only=True):
    """Serve another model instead."""

    downgrade: Alias
    """The model that answers from this share on; callers need no permission of their own for it."""


Action: TypeAlias = Annotated[
    Downgrade
    | Annotated[Literal["warn", "clamp", "refuse"], unit("text", "warn, clamp, refuse or {downgrade: MODEL}")],
    unit("text", "warn, clamp, refuse or {downgrade: MODEL}"),
]


class MeterEntry(Section, frozen=True, kw_only=True):
    """A cap on what is used within a window: it is never overshot, on any number of workers."""

    cap: Cap
    """The most that may be used: `$500`, `2M output_tokens`, `5M input_tokens`, `600 requests`, `40 concurrent` (K, M
    and B are thousands, millions and billions). 0 lets no call through."""
    window: WindowText | None = None
    """Of what time: rolling (`60s`, `5m`, `1h`, up to `720h`), of the calendar (`day`, `week` from Monday, `month`), or
    `lifetime`. `concurrent` has none."""
    zone: Zone | None = None
    """The time zone in which days, weeks and months begin; UTC when left out."""
    per: Per | None = None
    """One meter of this kind for each `end_user`, `conversation`, `key`, `project`, `model` or `tenant`; one for the
    whole section when left out."""
    at: Annotated[dict[Permille, Action], unit("thresholds", "a map such as {80%: warn, 100%: refuse}")] = field(
        default_factory=dict
    )
    """What happens from a share of the cap on: `warn` (see telemetry.webhook), `clamp` (answers are kept as short as
    what is left allows), `{downgrade: MODEL}` (another model answers) or `refuse`. `100%: refuse` always holds."""


Meters: TypeAlias = Annotated[
    tuple[MeterEntry, ...], Meta(max_length=MAX_METERS), unit("list", f"a list of at most {MAX_METERS} meters")
]


class Project(Section, frozen=True, kw_only=True):
    """A part of a tenant's work that is metered and told apart; a caller names it in the header `openai-project`."""

    meters: Meters = ()
    """Meters of the project; see meters."""


class RecordStore(Section, frozen=True, kw_only=True):
    """Where whole records are kept, and how long."""

    path: Place | None = None
    """Where files of records, and of agents' spans (under `spans/`), are brought to within the hour: a folder, or an
    address that fsspec knows, such as `s3://bucket/records` (the extra `lake`, and the store's own package). Left out,
    they stay in the state directory. It may hold no password: stores take theirs from the environment."""
    retention_days: Days = 400
    """How many days a record is kept, and an agent's span; 0: for good. The ledger, which bills are made of, is kept
    for good."""
    tenant_days: dict[Name, Days] = field(default_factory=dict)
    """The same for tenants of these names."""


class Stores(Section, frozen=True, kw_only=True):
    """Where state that workers share is kept."""

    meters: StoreUrl = "sqlite"
    """Where meters are kept: `sqlite` (in the state directory, for one machine), or `redis://host:port/0`,
    `rediss://…` or `postgresql://user@host/database` for several. May hold `${NAME}`."""
    control: ControlStoreUrl = "sqlite"
    """Where what is made by API is kept: `sqlite` (in the state directory), or `postgresql://user@host/database` for
    several machines. May hold `${NAME}`."""
    records: RecordStore = field(default_factory=RecordStore)
    """See stores.records."""

    def __repr__(self) -> str:
        meters, control = self.meters.partition("://")[0], self.control.partition("://")[0]
        return f"Stores(meters={meters!r}, control={control!r})"
