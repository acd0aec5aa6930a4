"""Who calls, what may be spent, and what goes wrong when: the plan of a run, as data. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from gateway.backends.fake_script import Script

Quantity = Literal["requests", "input_tokens", "output_tokens", "concurrent", "usd"]

INPUT_NANOS, OUTPUT_NANOS = 100, 400
"""Nano-dollars of a token of the model `chat`; `mini` costs a tenth."""
STEP_TOKENS = 64
"""One hold step of a stream whose worst case is not held."""
TOKENS_PER_S = 200
"""The fastest that the upstream produces."""
JUMP_S = 3_600
"""By how much clocks jump."""
WORD = "word"
"""Every token of the upstream's answers: what a caller got is counted in these."""


@dataclass(frozen=True)
class Cap:
    """One meter of the configuration, as the checks see it."""

    level: str  # the section: gateway, tenant, key or model
    subject: str  # "acme", "acme/app"; "" for the gateway
    quantity: Quantity
    amount: int
    window: str  # "lifetime", "month", "day", "" (concurrency) or "10s"
    per: str = ""

    @property
    def seconds(self) -> int:
        """The length of a rolling window; 0 for the others."""
        return int(self.window[:-1]) if self.window[:-1].isdigit() else 0

    def entry(self) -> dict[str, Any]:
        """As the configuration has it."""
        written = f"${self.amount / 1e9:.9f}" if self.quantity == "usd" else f"{self.amount} {self.quantity}"
        more = {"window": self.window} if self.window else {}
        return {"cap": written, **more, **({"per": self.per} if self.per else {})}


class Group(msgspec.Struct, frozen=True):
    """Callers of one tenant that behave alike."""

    tenant: str
    callers: int
    keys: int = 1
    # All use the first key until it is refused for good, then the next: so a small budget is fought over by all.
    in_turn: bool = False
    fresh_users: bool = False  # each caller is an end user, and a new one when its budget is gone
    streams: float = 0.75  # share of requests
    cancels: float = 0.2
    longest: int = 240  # of `max_tokens`
    unlimited: float = 0.1  # share without `max_tokens`


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong `at_s` seconds after the load began; those that last do so for `for_s`."""

    at_s: float
    what: Literal[
        "kill worker",
        "kill gateway",
        "restart gateway",
        "freeze authority",
        "kill authority",
        "jump clock",
        "fill disk",
        "crowd disk",
        "kill keeper",
        "lose lake",
    ]
    for_s: float = 0.0
    by_s: int = 0  # of a clock jump


@dataclass(frozen=True)
class Run:
    """One run: a gateway from its start to its end, and the account of it."""

    name: str
    store: Literal["sqlite", "redis", "postgres"]
    seconds: float
    groups: Sequence[Group]
    caps: Sequence[Cap]
    faults: Sequence[Fault] = ()
    workers: int = 4
    per_second: float = 300.0  # requests begun
    seed: int = 1
    spends_the_rest: Sequence[str] = field(default=())  # tenants whose small budgets are used up at the end

    @property
    def fakes_time(self) -> bool:
        return any(fault.what in ("jump clock", "lose lake") for fault in self.faults)

    @property
    def has_lake(self) -> bool:
        return any(fault.what == "lose lake" for fault in self.faults)

    @property
    def small_disk(self) -> bool:
        return any(fault.what.endswith("disk") for fault in self.faults)

    @property
    def kills(self) -> bool:
        return any(fault.what in ("kill worker", "kill gateway", "crowd disk") for fault in self.faults)


def secret(tenant: str, key: int) -> str:
    """The secret of a tenant's key."""
    return f"lg-chaos-{tenant}-{key}"


def key_name(key: int) -> str:
    return f"key-{key}"


def script(seed: int) -> Script:
    """What the upstream does: two speeds, lengths by chance, several tokens in a frame."""
    from gateway.backends.fake_script import Rule

    return Script(
        answer=WORD,
        seed=seed,
        rules=[
            Rule(match="quick", answer=WORD, tokens=(1, 120), tokens_per_s=TOKENS_PER_S, tokens_per_frame=8),
            Rule(match="slow", answer=WORD, tokens=(1, 160), tokens_per_s=40.0, tokens_per_frame=6, delay_ms=50),
            Rule(match="silent", answer=WORD, tokens=(1, 60), tokens_per_s=100.0, tokens_per_frame=4, usage=False),
            Rule(match="absurd", answer=WORD, tokens=(1, 60), tokens_per_s=100.0, usage={"completion_tokens": 10**9}),
        ],
    )


def configuration(run: Run, upstream: str, store_url: str | None, lake: str) -> dict[str, Any]:
    """The gateway's configuration for this run; `lake`: where files of records and spans go in a run that has one."""

    def entries(level: str, subject: str) -> list[dict[str, Any]]:
        return [cap.entry() for cap in run.caps if (cap.level, cap.subject) == (level, subject)]

    def key(group: Group, number: int) -> dict[str, Any]:
        digest = hashlib.sha256(secret(group.tenant, number).encode()).hexdigest()
        return {"hash": f"sha256:{digest}", "meters": entries("key", f"{group.tenant}/{key_name(number)}")}

    price = {"input": f"${INPUT_NANOS / 1000}/1M", "output": f"${OUTPUT_NANOS / 1000}/1M"}
    cheap = {"input": f"${INPUT_NANOS / 10000}/1M", "output": f"${OUTPUT_NANOS / 10000}/1M"}
    return {
        "server": {"workers": run.workers, "limits": {"drain_s": 10}},
        "backends": {"gpu": {"kind": "vllm", "endpoints": [{"url": upstream}]}},
        "models": {
            "chat": {"backend": "gpu", "price": price, "max_output": 400, "meters": entries("model", "chat")},
            "mini": {"backend": "gpu", "price": cheap, "max_output": 400, "meters": entries("model", "mini")},
        },
        "meters": entries("gateway", ""),
        "tenants": {
            group.tenant: {
                "models": ["*"],
                "meters": entries("tenant", group.tenant),
                "keys": {key_name(number): key(group, number) for number in range(group.keys)},
            }
            for group in run.groups
        },
        "stores": {
            **({"meters": store_url} if store_url else {}),
            **({"records": {"path": lake}} if run.has_lake else {}),
        },
    }
