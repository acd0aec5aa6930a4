"""The configuration as written: one frozen struct per section, with its defaults.

The docstring under a field is its meaning in `configs/README.md` and `configs/schema.json`. Values are plain: sizes
are bytes, times are seconds, shares run from 0 to 1. `${NAME}` references stay as written until
`archive.resolve_secrets`. How values may be written is in `units`; what must hold between sections is in `review`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field

MAX_FALLBACKS = 8
"""The longest fallback chain, counted with the fallbacks of fallbacks."""

EMBEDDED_MODELS = ("smollm2-135m", "minilm")
"""The models that come with the `embedded` extra; any other is a path."""

CLASSIC_MODELS = ("magika", "churn-demo")
"""The classic models that come in packages (`backends.packaged_models` says where from); any other is a path."""


def _unit(name: str, allowed: str) -> Meta:
    """How a leaf is written (`units.<name>` reads it, if there is one) and what an error says is allowed."""
    return Meta(extra={"unit": name, "allowed": allowed})


_NAME_RULE = "letters, digits, '.', '_' and '-' (at most 64, a letter or digit first)"
_ALIAS_RULE = "letters, digits and any of . _ - : / @ + (at most 200, a letter or digit first)"
_END = r"$(?!\n)"  # `$` alone would let a trailing newline through

Name: TypeAlias = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,63}" + _END), _unit("text", f"a name: {_NAME_RULE}")
]
Alias: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-:/@+]{0,199}" + _END),
    _unit("text", f"a model's name: {_ALIAS_RULE}"),
]
ServedName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[^\x00-\x20\x7f][^\x00-\x1f\x7f]{0,499}" + _END),
    _unit("text", "the backend's name for the model (at most 500 characters, no control characters)"),
]
AliasPattern: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9*][A-Za-z0-9._\-:/@+*]{0,199}" + _END),
    _unit("text", f"a model's name, in which * stands for any run of characters: {_ALIAS_RULE}"),
]
Path: TypeAlias = Annotated[
    str, Meta(pattern=r"^[^\x00\n]{1,4096}" + _END), _unit("text", "a path (relative to the working directory)")
]
Size: TypeAlias = Annotated[
    int,
    Meta(ge=1, le=2**40),
    _unit("size", "a size from 1 byte to 1TiB, such as 20MB"),
]
Seconds: TypeAlias = Annotated[
    float, Meta(gt=0, le=86_400), _unit("number", "a number of seconds, more than 0 and at most 86400")
]
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1), _unit("share", "a share such as 20%")]
Instant: TypeAlias = Annotated[
    int,
    _unit("instant", "a date or a time with its zone"),
]
Digest: TypeAlias = Annotated[
    bytes,
    _unit("digest", "sha256: and 64 hexadecimal digits"),
]
ModelDigest: TypeAlias = Annotated[
    str, Meta(pattern=r"^sha256:[0-9a-f]{64}" + _END), _unit("text", "sha256: and 64 hexadecimal digits")
]
VersionName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,31}" + _END),
    _unit("text", "a version such as 3 or 3.1 (letters, digits and . _ -, at most 32)"),
]
ColumnName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[^\x00-\x1f\x7f]{1,200}" + _END),
    _unit("text", "a column's name (at most 200 characters, no control characters)"),
]
Scalar: TypeAlias = Annotated[str | bool | int | float, _unit("text", "a text, a number, true or false")]
Bound: TypeAlias = Annotated[int | float, _unit("number", "a number")]
Listen: TypeAlias = Annotated[str, _unit("address", "host:port")]
Url: TypeAlias = Annotated[str, _unit("url", "http://host:port, https://host or unix:///path.sock")]
BaseUrl: TypeAlias = Annotated[
    str, _unit("base_url", "http://host:port/path or https://host/path, as the provider's documentation gives it")
]
ProviderName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9][a-z0-9_\-]{0,63}" + _END),
    _unit("text", "litellm's name of a provider, such as openai, anthropic, azure or bedrock"),
]
Secret: TypeAlias = Annotated[str, _unit("secret", "a secret, best as ${NAME}")]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections: keyword-only, frozen, and an unknown key is an error."""


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

    attempts: Annotated[int, Meta(ge=1, le=10), _unit("number", "a whole number from 1 to 10")] = 2
    """Most attempts on one backend, the first included; 1 means no retries."""
    share: Share = 0.2
    """Retries may be at most this share of the requests, so that they cannot multiply an outage."""


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
        Annotated[int, Meta(ge=1, le=256)] | Literal["auto"], _unit("number", "auto, or a whole number from 1 to 256")
    ] = "auto"
    """Worker processes; `auto` is one for each CPU that the control group grants."""
    state_dir: Path = "./state"
    """Where journals and archived snapshots are kept (relative to the working directory)."""
    limits: Limits = field(default_factory=Limits)
    """See limits."""
    retries: Retries = field(default_factory=Retries)
    """See retries."""


class Endpoint(Section, frozen=True, kw_only=True):
    """One replica's address."""

    url: Url
    """`http://host:port`, `https://host` or `unix:///path.sock`, without a path: the gateway adds `/v1/…` or `/v2/…`.
    May hold `${NAME}`."""


class Servers(Section, frozen=True, kw_only=True):
    """Servers that somebody else runs; all endpoints serve the same models."""

    endpoints: Annotated[tuple[Endpoint, ...], Meta(min_length=1), _unit("list", "a list of at least one endpoint")]
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
    """Servers that speak the Open Inference Protocol over HTTP, such as KServe and Triton; each answers
    `/v2/health/ready`."""


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
        tuple[Alias, ...], Meta(max_length=MAX_FALLBACKS), _unit("list", f"a list of at most {MAX_FALLBACKS} models")
    ] = ()
    """Models to try in this order when the backend cannot answer; after them, their own fallbacks. A tenant that may
    use this model is also served by its fallbacks."""


class Column(Section, frozen=True, kw_only=True, omit_defaults=True):
    """What one column of a classic model's rows may hold."""

    type: (
        Annotated[
            Literal["number", "integer", "string", "boolean"], _unit("text", "number, integer, string or boolean")
        ]
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
    nulls: Annotated[Literal["refuse", "impute", "pass"], _unit("text", "refuse, impute or pass")] = "refuse"
    """What a null (JSON's `null`, or NaN) does: the row is refused, the value of `impute` takes its place, or the model
    gets a NaN. An empty text is no null."""
    impute: Scalar | None = None
    """The value that takes a null's place, with `nulls: impute`."""
    infinities: Annotated[Literal["refuse", "pass"], _unit("text", "refuse or pass")] = "refuse"
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
        dict[VersionName, Path | Version], Meta(min_length=1), _unit("map", "at least one version, such as 3: PATH")
    ]
    """Versions by name, each a path or a map; a caller that names none gets the highest. See versions."""
    schema: dict[ColumnName, Column] = field(default_factory=dict)
    """Columns by name, each an input of the model, or a column of its one matrix in this order; those of the packaged
    folder when left out. See schema."""


AnyModel: TypeAlias = Annotated[Model | Onnx, Meta(extra={"kind": "backend"})]
"""A model of either kind; one that does not say its `kind` is the one named here."""


class Key(Section, frozen=True, kw_only=True, gc=False):
    """A secret's hash; the secret is shown once, by `lockgate keys new`."""

    digest: Digest = field(name="hash")
    """`sha256:` and the 64 hexadecimal digits of the secret's SHA-256."""
    expires_s: Instant | None = field(default=None, name="expires")
    """Last day (`2027-06-30`, to its end in UTC) or moment (`2027-06-30T12:00:00Z`) at which the key is valid; never
    when left out."""

    def __repr__(self) -> str:
        return f"Key(expires_s={self.expires_s})"


class Tenant(Section, frozen=True, kw_only=True):
    """Who may ask, with which keys, for which models."""

    models: tuple[AliasPattern, ...]
    """Aliases the tenant may use; `*` stands for any run of characters (`openai/*`)."""
    keys: dict[Name, Key] = field(default_factory=dict)
    """Keys by name; thousands of them go into `keys*.jsonl`. See keys."""


class Telemetry(Section, frozen=True, kw_only=True):
    """What the gateway says about itself."""

    access_log: bool = True
    """One log line for each request, without its content."""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], _unit("text", "debug, info, warning or error")
    ] = "info"
    """The least severe line that is written."""


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
    telemetry: Telemetry = field(default_factory=Telemetry)
    """See telemetry."""


class Overrides(Section, frozen=True, kw_only=True):
    """What flags (or the environment, see `load.VARIABLES`) put over the files; None leaves the files' word."""

    bind: Listen | None = None
    port: Annotated[int, Meta(ge=0, le=65_535), _unit("number", "a port from 0 to 65535")] | None = None
    """Replaces the port of `bind` only."""
    ops: Listen | None = None
    workers: (
        Annotated[
            Annotated[int, Meta(ge=1, le=256)] | Literal["auto"],
            _unit("number", "auto, or a whole number from 1 to 256"),
        ]
        | None
    ) = None
    state_dir: Path | None = None
    log_level: (
        Annotated[Literal["debug", "info", "warning", "error"], _unit("text", "debug, info, warning or error")] | None
    ) = None
