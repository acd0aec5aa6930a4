"""Small configurations that differ in what patches change: tenants, projects, keys and drained endpoints."""

from __future__ import annotations

from hypothesis import strategies as st

from gateway.config.model import Backend, Config, Embedded, Endpoint, Key, Model, PreviousKey, Tenant, Vllm
from gateway.config.model_meters import MeterEntry, Project

METERS = st.sampled_from(
    [(), (MeterEntry(cap="5 requests", window="60s"),), (MeterEntry(cap="1000000000 usd", window="month"),)]
)
PATTERNS = st.lists(st.sampled_from(["m", "x/*", "*", "gone"]), unique=True, max_size=3).map(tuple)
ENDS = st.none() | st.integers(1, 9)
WORDS = ({"action": "block", "check": "keywords", "phase": "input", "words": ["forbidden"]},)
CHAINS = st.sampled_from([None, "words", "nothing"])


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """A valid configuration. Keys of two of these may have each other's hashes."""
    hashes = iter(draw(st.permutations(range(40))))

    def key() -> Key:
        previous = PreviousKey(digest=bytes([next(hashes)]) * 32, expires_s=draw(st.integers(1, 9)))
        return Key(
            digest=bytes([next(hashes)]) * 32,
            expires_s=draw(ENDS),
            models=draw(PATTERNS),
            meters=draw(METERS),
            chain=draw(CHAINS),
            previous=draw(st.none() | st.just(previous)),
        )

    def some(most: int) -> list[str]:
        return draw(st.lists(st.sampled_from("abcd"), unique=True, max_size=most))

    tenants = {
        name: Tenant(
            models=draw(PATTERNS),
            meters=draw(METERS),
            chain=draw(CHAINS),
            projects={project: Project(meters=draw(METERS)) for project in some(2)},
            keys={name: key() for name in some(3)},
        )
        for name in some(3)
    }
    drained = [draw(st.booleans()) for _ in range(2)]
    ends = tuple(Endpoint(url=f"http://{n}:1", drained=each) for n, each in enumerate(drained))
    backends: dict[str, Backend] = {"b": Vllm(endpoints=ends), "e": Embedded(model="minilm")}
    models = {"m": Model(backend="b"), "x/y": Model(backend="e")}
    return Config(
        backends=backends,
        models=models,  # type: ignore[arg-type]  # dicts are invariant
        tenants=tenants,
        chains={"words": WORDS, "nothing": ()},
    )
