"""The configuration as written: one frozen struct per section, with its defaults.

The docstring under a field is its meaning in `configs/README.md` and `configs/schema.json`. Values are plain: sizes
are bytes, times are seconds, shares run from 0 to 1. `${NAME}` references stay as written until
`archive.resolve_secrets`. What a leaf may be is in `leaves`, how it may be written in `units`; prices and meters are in
`model_meters`, chains in `model_chains`, logs and spans in `model_telemetry`; what must hold between sections is in
`review`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, field

from gateway.config.leaves import (
    AdminToken,
    Alias,
    AliasPattern,
    BaseUrl,
    Bound,
    ColumnName,
    Digest,
    Instant,
    Listen,
    LogLevel,
    ModelDigest,
    Name,
    Path,
    ProviderName,
    Scalar,
    Seconds,
    Secret,
    Section,
    ServedName,
    Share,
    Size,
    Tokens,
    Url,
    VersionName,
    unit,
)
from gateway.config.model_chains import Chains, WebhookTarget
from gateway.config.model_content import Content
from gateway.config.model_meters import ClassicPrice, Meters, ModelPrice, Project, Stores
from gateway.config.model_telemetry import Telemetry

MAX_FALLBACKS = 8
"""The longest fallback chain, counted with the fallbacks of fallbacks."""

EMBEDDED_MODELS = ("smollm2-135m", "minilm")
"""The models that come with the `embedded` extra; any other is a path."""

CLASSIC_MODELS = ("magika", "churn-demo")
"""The classic models that come in packages (`backends.packaged_models` says where from); any other is a path."""


class Limits(Section, frozen=True, kw_only=True):
    """How large and how slow a request or an answer may be."""

    body: Size = 20_000_000
    """Largest request body; more is a 413."""
    header: Size = 32_000
    """Largest request line with headers; more is a 431."""
    answer: Size = 64_000_000
    """Largest answer taken from a backend when it is not a stream; more is a 502."""
    request_s: Seconds = 30.0
    """A caller must have sent headers and body within this time; slower is a 408."""
    connect_s: Seconds = 5.0
    """Longest wait for a connection to an endpoint."""
    first_byte_s: Seconds = 60.0
    """Longest wait for an endpoint's first byte of an answer."""
    idle_s: Seconds = 60.0
    """Longest silence within an answer."""
    total_s: Seconds = 600.0
    """Longest time for a request with all its attempts and its answer."""
    drain_s: Seconds = 30.0
    """When stopping, how long running requests may take to end before they are cut."""
    keepalive_s: Seconds = 75.0
    """How long a caller's idle connection is kept."""


class Retries(Section, frozen=True, kw_only=True):
    """When a failed attempt is tried again on the same backend (always before the first byte reaches the caller)."""

    attempts: Annotated[int, Meta(ge=1, le=10), unit("number", "a whole number from 1 to 10")] = 2
    """Most attempts on one backend, the first included; 1 means no retries."""
    share: Share = 0.2
    """Retries may be at most this share of the requests, so that they cannot multiply an outage."""


class Control(Section, frozen=True, kw_only=True):
    """The control listener: tenants, keys, budgets and roles by API. It is a process of its own, and off without an
    admin token."""

    bind: Listen = "127.0.0.1:8082"
    """Where it listens, apart from callers. Port 0 takes a free one."""
    admin_token: AdminToken | None = None
    """The token of the first principal, `root`: at least 32 random characters. Write `${NAME}`; the control listener is
    off where that is not set."""

    def __repr__(self) -> str:
        return f"Control(bind={self.bind!r}, admin_token={'…' if self.admin_token else None})"


class Server(Section, frozen=True, kw_only=True):
    """The process: where it listens, how many workers it has, what it bears."""

    bind: Listen = "127.0.0.1:8080"
    """The data listener, for callers with keys. Port 0 takes a free one."""
    ops: Listen = "127.0.0.1:8081"
    """The ops listener: metrics and health, without keys. Keep it away from callers."""
    grpc: Listen | None = None
    """A listener for classic models over gRPC (the Open Inference Protocol), for callers with keys; none when left out.
    Port 0 takes a free one."""
    workers: Annotated[
        Annotated[int, Meta(ge=1, le=256)] | Literal["auto"], unit("number", "auto, or a whole number from 1 to 256")
    ] = "auto"
    """Worker processes; `auto` is one for each CPU that the control group grants."""
    state_dir: Path = "./state"
    """Where journals and archived snapshots are kept (relative to the working directory)."""
    limits: Limits = field(default_factory=Limits)
    """See limits."""
    retries: Retries = field(default_factory=Retries)
    """See retries."""
    control: Control | None = None
    """The control listener; none when left out. See control."""


class Endpoint(Section, frozen=True, kw_only=True):
    """One replica's address."""

    url: Url
    """`http://host:port`, `https://host` or `unix:///path.sock`, without a path: the gateway adds `/v1/…` or `/v2/…`.
    May hold `${NAME}`."""
    drained: bool = False
    """No new call is sent there; those that run come to their end."""


class Servers(Section, frozen=True, kw_only=True):
    """Servers that somebody else runs; all endpoints serve the same models."""

    endpoints: Annotated[tuple[Endpoint, ...], Meta(min_length=1), unit("list", "a list of at least one endpoint")]
    """The replicas; see endpoints."""
    api_key: Secret | None = None
    """Sent to every endpoint as a bearer token. Write `${NAME}`: it is then read from the environment and never
    stored."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(endpoints={self.endpoints!r}, api_key={'…' if self.api_key else None})"


class Vllm(Servers, frozen=True, kw_only=True, tag_field="kind", tag="vllm"):
    """vLLM servers, or any other server that speaks OpenAI's API and answers `/health`."""

    keeps_responses: bool = False
    """The servers run with `VLLM_ENABLE_RESPONSES_API_STORE=1`: answers at `/v1/responses` are kept there, and
    `previous_response_id` continues one on the replica that has it."""


class V2(Servers, frozen=True, kw_only=True, tag_field="kind", tag="v2"):
    """Servers of the Open Inference Protocol over HTTP, as KServe and Triton; each answers `/v2/health/ready`."""


class Embedded(Section, frozen=True, kw_only=True, tag_field="kind", tag="embedded"):
    """A small model served beside the gateway, as a process of its own."""

    model: Path
    """`smollm2-135m` (chat), `minilm` (embeddings), or the path of a `.gguf` file."""


class Fake(Section, frozen=True, kw_only=True, tag_field="kind", tag="fake"):
    """A scripted server for tests and benchmarks, started beside the gateway."""

    script: Path | None = None
    """A file that says what it answers; without one it says the last user message back."""


class Provider(Section, frozen=True, kw_only=True, tag_field="kind", tag="provider"):
    """An outside provider, asked through litellm in a process beside the gateway (the extra `providers`). Prompts leave
    this machine."""

    provider: ProviderName
    """litellm's name of the provider: `openai`, `anthropic`, `azure`, `bedrock`, …. A model's `served_model` is what
    litellm wants after that name."""
    api_key: Secret | None = None
    """The provider's key. Write `${NAME}`: it is then read from the environment and never stored. Providers that take
    credentials of their cloud (`AWS_…`, `GOOGLE_…`, `AZURE_…` in the environment) need none here."""
    api_key_file: Path | None = None
    """A file that holds the key, instead of `api_key`; it is read for each request, so that a key can change."""
    api_base: BaseUrl | None = None
    """Where the provider is asked, when not at its own address; may have a path. May hold `${NAME}`."""

    def __repr__(self) -> str:
        return (
            f"Provider(provider={self.provider!r}, api_key={'…' if self.api_key else None}, "
            f"api_key_file={self.api_key_file!r}, api_base={self.api_base!r})"
        )


Backend: TypeAlias = Vllm | V2 | Embedded | Provider | Fake


def kind_of(backend: Backend) -> str:
    """The word after `kind:`."""
    return str(backend.__struct_config__.tag)


class Model(Section, frozen=True, kw_only=True, tag_field="kind", tag="backend"):
    """An alias that callers send as `model`, served by a backend. It is the kind of a model that names none."""

    backend: Name
    """The backend that serves it."""
    served_model: ServedName | None = None
    """What the backend calls it; the alias when left out."""
    fallback: Annotated[
        tuple[Alias, ...], Meta(max_length=MAX_FALLBACKS), unit("list", f"a list of at most {MAX_FALLBACKS} models")
    ] = ()
    """Models to try in this order when the backend cannot answer; after them, their own fallbacks. A tenant that may
    use this model is also served by its fallbacks."""
    price: ModelPrice | None = None
    """What it costs: a map of prices, `free`, or `from_price_map` (as `prices.json` in this folder says,
    which `lockgate prices import` writes). See price."""
    max_output: Tokens = 16_384
    """The most tokens it can put out where a caller sets no limit: what a meter holds then."""
    image_tokens: Tokens = 8_192
    """The most tokens it makes of an image: what a meter holds for each."""
    meters: Meters = ()
    """Meters of this model, whoever asks; see meters."""
    chain: Name | None = None
    """The chain of checks for this model, whoever asks; the caller's own comes first. See chains."""


class Column(Section, frozen=True, kw_only=True, omit_defaults=True):
    """What one column of a classic model's rows may hold."""

    type: (
        Annotated[Literal["number", "integer", "string", "boolean"], unit("text", "number, integer, string or boolean")]
        | None
    ) = None
    """`number`, `integer` (whole numbers, also in an input of floating-point numbers), `string` or `boolean`; what the
    model's file says when left out."""
    min: Bound | None = None
    """The least value."""
    max: Bound | None = None
    """The largest value."""
    one_of: tuple[Scalar, ...] = ()
    """The values allowed; any when left out."""
    nulls: Annotated[Literal["refuse", "impute", "pass"], unit("text", "refuse, impute or pass")] = "refuse"
    """What a null (JSON's `null`, or NaN) does: the row is refused, the value of `impute` takes its place, or the model
    gets a NaN. An empty text is no null."""
    impute: Scalar | None = None
    """The value that takes a null's place, with `nulls: impute`."""
    infinities: Annotated[Literal["refuse", "pass"], unit("text", "refuse or pass")] = "refuse"
    """Whether an infinite number is refused, or passes to the model where `min` and `max` allow it."""


class Version(Section, frozen=True, kw_only=True):
    """One version of a classic model. A path in its place stands for a version with that `path`."""

    path: Path
    """An `.onnx` file, a folder made by `lockgate models package`, or a model that comes in a package: `magika`,
    `churn-demo`."""
    digest: ModelDigest | None = None
    """`sha256:` and 64 hexadecimal digits, as `lockgate models show` prints them: a model with any other is not loaded.
    Found when loading, and archived, when left out."""
    schema: dict[ColumnName, Column] = field(default_factory=dict)
    """The columns of this version; those of the model when left out."""


class Onnx(Section, frozen=True, kw_only=True, tag_field="kind", tag="onnx"):
    """A classic model: an ONNX file that runs inside the gateway (the extra `classic`)."""

    versions: Annotated[
        dict[VersionName, Path | Version], Meta(min_length=1), unit("map", "at least one version, such as 3: PATH")
    ]
    """Versions by name, each a path or a map; a caller that names none gets the highest. See versions."""
    schema: dict[ColumnName, Column] = field(default_factory=dict)
    """Columns by name, each an input of the model, or a column of its one matrix in this order; those of the packaged
    folder when left out. See schema."""
    price: ClassicPrice | None = None
    """What a call costs: `{call: $0.00002}`, or `free`. See price."""
    meters: Meters = ()
    """Meters of this model, whoever asks; see meters."""
    chain: Name | None = None
    """The checks of its texts, after those of whoever asks; see chains."""


AnyModel: TypeAlias = Annotated[Model | Onnx, Meta(extra={"kind": "backend"})]
"""A model of either kind; one that does not say its `kind` is the one named here."""


class PreviousKey(Section, frozen=True, kw_only=True, gc=False):
    """The secret that a key had before: it opens the same key for a while."""

    digest: Digest = field(name="hash")
    """As the key's own."""
    expires_s: Instant = field(name="expires")
    """Until when it is valid, as the key's own: then only the new one is."""

    def __repr__(self) -> str:
        return f"PreviousKey(expires_s={self.expires_s})"


class Key(Section, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A secret's hash; the secret is shown once, by `lockgate keys new`."""

    digest: Digest = field(name="hash")
    """`sha256:` and the 64 hexadecimal digits of the secret's SHA-256."""
    expires_s: Instant | None = field(default=None, name="expires")
    """Last day (`2027-06-30`, to its end in UTC) or moment (`2027-06-30T12:00:00Z`) at which the key is valid; never
    when left out."""
    models: tuple[AliasPattern, ...] = ()
    """Those of the tenant's models that this key may use, written as the tenant's; all of them when left out."""
    projects: tuple[Name, ...] = ()
    """The tenant's projects that this key may work for; a caller that names none works for the only one, if there is
    one."""
    meters: Meters = ()
    """Meters of this key; see meters."""
    chain: Name | None = None
    """The chain of checks for what this key asks; the tenant's when left out. See chains."""
    previous: PreviousKey | None = None
    """The secret before this one, while both are to be valid; see previous."""

    @property
    def digests(self) -> tuple[bytes, ...]:
        """By which hashes it is known."""
        return (self.digest,) if self.previous is None else (self.digest, self.previous.digest)

    def __repr__(self) -> str:
        return f"Key(expires_s={self.expires_s})"


class Tenant(Section, frozen=True, kw_only=True):
    """Who may ask, with which keys, for which models."""

    models: tuple[AliasPattern, ...]
    """Aliases the tenant may use; `*` stands for any run of characters (`openai/*`)."""
    keys: dict[Name, Key] = field(default_factory=dict)
    """Keys by name; thousands of them go into `keys*.jsonl`. See keys."""
    projects: dict[Name, Project] = field(default_factory=dict)
    """Projects by name, of which keys name theirs. See projects."""
    meters: Meters = ()
    """Meters of the tenant; see meters."""
    chain: Name | None = None
    """The chain of checks for what this tenant asks; see chains."""
    content: Content | None = None
    """Whether what is said is kept; it is not when left out. See content."""


class Config(Section, frozen=True, kw_only=True):
    """The whole configuration: a folder of files merged into one."""

    server: Server = field(default_factory=Server)
    """See server."""
    backends: dict[Name, Backend] = field(default_factory=dict)
    """Backends by name."""
    models: dict[Alias, AnyModel] = field(default_factory=dict)
    """Models by the alias callers send."""
    tenants: dict[Name, Tenant] = field(default_factory=dict)
    """Tenants by name."""
    chains: Chains = field(default_factory=dict)
    """Chains of checks by name, each a list in order; see chains."""
    webhooks: dict[Name, WebhookTarget] = field(default_factory=dict)
    """Webhooks that checks ask, by name; see webhooks."""
    meters: Meters = ()
    """Meters of the whole gateway; see meters."""
    stores: Stores = field(default_factory=Stores)
    """See stores."""
    telemetry: Telemetry = field(default_factory=Telemetry)
    """See telemetry."""


class Overrides(Section, frozen=True, kw_only=True):
    """What flags (or the environment, see `load.VARIABLES`) put over the files; None leaves the files' word."""

    bind: Listen | None = None
    port: Annotated[int, Meta(ge=0, le=65_535), unit("number", "a port from 0 to 65535")] | None = None
    """Replaces the port of `bind` only."""
    ops: Listen | None = None
    workers: (
        Annotated[
            Annotated[int, Meta(ge=1, le=256)] | Literal["auto"],
            unit("number", "auto, or a whole number from 1 to 256"),
        ]
        | None
    ) = None
    state_dir: Path | None = None
    log_level: LogLevel | None = None
