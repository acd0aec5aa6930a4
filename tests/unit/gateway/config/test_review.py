from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import review
from gateway.config.model import (
    V2,
    Config,
    Control,
    Endpoint,
    Key,
    Model,
    Onnx,
    PreviousKey,
    Provider,
    Server,
    Tenant,
    Vllm,
)
from gateway.config.model_meters import Stores
from gateway.config.shape import dotted

NOW_S = 1_800_000_000
BACKEND = Vllm(endpoints=(Endpoint(url="http://a:1"),))


def config(**changes: Any) -> Config:
    """A configuration without problems or doubts, and then changed."""
    good: dict[str, Any] = {
        "backends": {"a": BACKEND},
        "models": {"m": Model(backend="a")},
        "tenants": {"t": Tenant(models=("m",), keys={"k": Key(digest=b"1" * 32)})},
    }
    return Config(**{**good, **changes})


def problems(found: Config) -> list[str]:
    return [f"{dotted(finding.path)}: {finding.message}" for finding in review.problems(found)]


def doubts(found: Config) -> list[str]:
    return [f"{dotted(finding.path)}: {finding.message}" for finding in review.doubts(found, NOW_S)]


def models(**fallback: tuple[str, ...]) -> Config:
    return config(
        models={
            name: Model(backend="a", served_model=f"s-{name}", fallback=others) for name, others in fallback.items()
        },
        tenants={"t": Tenant(models=("*",), keys={"k": Key(digest=b"1" * 32)})},
    )


def test_a_good_configuration_raises_no_question() -> None:
    assert problems(config()) == doubts(config()) == []


@pytest.mark.parametrize(
    ("bind", "ops", "clash"),
    [
        ("127.0.0.1:80", "127.0.0.1:80", True),
        ("0.0.0.0:80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "[::]:80", True),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("127.0.0.1:80", "127.0.0.1:81", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
    ],
)
def test_two_listeners_cannot_share_a_port(bind: str, ops: str, clash: bool) -> None:
    server = msgspec.structs.replace(Config().server, bind=bind, ops=ops)
    assert bool(problems(config(server=server))) == clash


def test_an_endpoint_twice_in_a_backend_is_a_problem_and_in_two_a_doubt() -> None:
    twice = (Endpoint(url="http://a:1"), Endpoint(url="http://a:1/"))
    for kind in (Vllm, V2):
        found = problems(config(backends={"a": kind(endpoints=twice)}))
        assert found[0].startswith("backends.a.endpoints[1].url: this endpoint is listed")
    shared = config(backends={"a": BACKEND, "b": BACKEND}, models={"m": Model(backend="a"), "n": Model(backend="b")})
    assert not problems(shared)
    assert any("in two backends" in doubt for doubt in doubts(shared))


def test_a_backend_and_a_classic_model_cannot_stand_in_for_each_other() -> None:
    found = config(models={"m": Model(backend="a", fallback=("c",)), "c": Onnx(versions={"1": "c.onnx"})})
    assert problems(found) == ['models.m.fallback[0]: "c" is a classic model: it answers no request made for a backend']


def test_the_schema_of_a_classic_model_is_reviewed() -> None:
    assert problems(config(models={"m": Model(backend="a"), "c": Onnx(versions={"1": "magica"})})) == [
        "models.c.versions.1: unknown model (a path holds a / or ends with .onnx); did you mean magika?"
    ]


def test_what_a_model_names_must_exist_and_the_nearest_is_told() -> None:
    assert problems(config(models={"m": Model(backend="aa")})) == [
        'models.m.backend: there is no backend "aa"; did you mean a?'
    ]
    assert problems(models(small=("larg",), large=())) == [
        'models.small.fallback[0]: there is no model "larg"; did you mean large?'
    ]


@pytest.mark.parametrize(
    ("fallback", "told"),
    [
        ({"a": ("a",)}, "models.a.fallback[0]: a model cannot fall back to itself"),
        ({"a": ("b", "b"), "b": ()}, 'models.a.fallback[1]: "b" is already in this list'),
        ({"a": ("b",), "b": ("a",)}, "models.b.fallback: these fall back to each other: a → b → a"),
        (
            {"x": ("a",), "a": ("b",), "b": ("c",), "c": ("a",)},
            "models.c.fallback: these fall back to each other: a → b → c → a",
        ),
    ],
)
def test_fallbacks_that_lead_nowhere_new_are_problems(fallback: dict[str, tuple[str, ...]], told: str) -> None:
    assert problems(models(**fallback)) == [told]


def test_a_chain_of_fallbacks_has_an_end() -> None:
    chain = {f"m{n}": (f"m{n + 1}",) for n in range(5_000)}
    found = problems(models(**chain, m5000=()))
    assert found
    assert all("more than 8 models" in problem for problem in found)


def test_the_fallbacks_of_a_model_come_before_those_of_its_fallbacks() -> None:
    found = models(a=("b", "c"), b=("d", "c"), c=(), d=())
    assert not problems(found)
    assert review.fallbacks(found, "a") == ("b", "c", "d")


GRAPH = st.dictionaries(
    st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3).map(tuple), max_size=6
)


@given(GRAPH)
def test_a_cycle_is_found_exactly_when_there_is_one(graph: dict[str, tuple[str, ...]]) -> None:
    def reaches_itself(start: str) -> bool:
        seen: set[str] = set()
        waiting = [other for other in graph[start] if other != start]
        while waiting:
            name = waiting.pop()
            if name == start:
                return True
            if name not in seen and name in graph:
                seen.add(name)
                waiting += [other for other in graph[name] if other != name]
        return False

    found = problems(models(**graph))
    assert any("each other" in problem for problem in found) == any(map(reaches_itself, graph))


@given(GRAPH)
def test_a_fallback_chain_holds_each_known_model_once_and_never_the_first(graph: dict[str, tuple[str, ...]]) -> None:
    for name in graph:
        chain = review.fallbacks(models(**graph), name)
        assert len(set(chain)) == len(chain)
        assert name not in chain
        assert set(chain) <= graph.keys()


def test_one_secret_for_two_keys_is_a_problem_that_names_both() -> None:
    same = Key(digest=b"1" * 32)
    found = config(tenants={"t": Tenant(models=("m",), keys={"k": same}), "u": Tenant(models=("m",), keys={"l": same})})
    (finding,) = review.problems(found)
    assert dotted(finding.path) == "tenants.u.keys.l.hash"
    assert finding.other is not None
    assert dotted(finding.other) == "tenants.t.keys.k"


def test_an_embedded_model_is_one_we_have_or_a_path() -> None:
    def with_model(model: str) -> list[str]:
        text = f'{{"backends": {{"a": {{"kind": "embedded", "model": "{model}"}}}}}}'
        return problems(msgspec.json.decode(text, type=Config))

    assert not with_model("minilm")
    assert not with_model("./x.gguf")
    assert "did you mean smollm2-135m?" in with_model("smollm2")[0]


def test_what_is_not_there_is_a_doubt_of_whoever_can_look() -> None:
    text = '{"backends": {"a": {"kind": "embedded", "model": "/x.gguf"}, "b": {"kind": "fake", "script": "s.yaml"}}}'
    found = msgspec.json.decode(text, type=Config)
    assert [dotted(each.path) for each in review.missing_files(found, lambda path: False)] == ["backends.b.script"]
    assert not list(review.missing_files(found, lambda path: True))
    secret = config(backends={"a": Provider(provider="openai", api_key_file="keys/openai")})
    assert [dotted(f.path) for f in review.missing_files(secret, lambda path: False)] == ["backends.a.api_key_file"]
    (doubt,) = review.missing_providers(secret, lambda: "it is not here")
    assert (dotted(doubt.path), doubt.message) == ("backends.a.kind", "it is not here")
    (doubt,) = review.missing_models(found, lambda model: f"{model} is not here")
    assert (dotted(doubt.path), doubt.message) == ("backends.a.model", "/x.gguf is not here")
    assert not list(review.missing_models(found, lambda model: None))


@pytest.mark.parametrize(
    ("tenant", "told"),
    [
        (Tenant(models=("m", "n")), "tenants.t.models[1]: matches no model; known: m"),
        (Tenant(models=("m", "openai/*")), "tenants.t.models[1]: matches no model; known: m"),
        (Tenant(models=()), "tenants.t.models: this tenant may use no model"),
        (Tenant(models=("m",)), "tenants.t: this tenant has no keys, so nobody can ask in its name"),
    ],
)
def test_a_tenant_that_cannot_ask_is_a_doubt(tenant: Tenant, told: str) -> None:
    assert told in doubts(config(tenants={"t": tenant}))


def test_a_key_is_a_doubt_from_the_second_it_expires() -> None:
    def with_end(end_s: int) -> list[str]:
        return doubts(config(tenants={"t": Tenant(models=("m",), keys={"k": Key(digest=b"1" * 32, expires_s=end_s)})}))

    assert with_end(NOW_S) == ["tenants.t.keys.k: this key has expired: it opens nothing any more"]
    assert not with_end(NOW_S + 1)


def test_what_nobody_can_reach_is_a_doubt() -> None:
    found = config(models={"m": Model(backend="a", fallback=("n",)), "n": Model(backend="a"), "o": Model(backend="a")})
    assert doubts(found) == ["models.o: no tenant may use this model, and none falls back to it"]
    assert doubts(config(backends={"a": BACKEND, "b": Vllm(endpoints=(Endpoint(url="http://b"),))})) == [
        "backends.b: no model uses this backend"
    ]
    assert len(doubts(Config())) == 2


def test_a_secret_in_a_file_is_a_doubt_and_a_reference_is_not() -> None:
    written = Vllm(endpoints=BACKEND.endpoints, api_key="hunter2")
    (doubt,) = doubts(config(backends={"a": written}))
    assert doubt.startswith("backends.a.api_key: ")
    assert "hunter2" not in doubt
    assert not doubts(config(backends={"a": Vllm(endpoints=BACKEND.endpoints, api_key="${KEY}")}))


def test_a_provider_has_one_key_and_is_asked_under_cover() -> None:
    both = Provider(provider="openai", api_key="${KEY}", api_key_file="key")
    assert problems(config(backends={"a": both})) == ["backends.a.api_key_file: give one of api_key and api_key_file"]
    assert doubts(config(backends={"a": Provider(provider="openai", api_key="hunter2")})) == [
        "backends.a.api_key: a secret in a file is archived with every snapshot: write ${NAME} and set it"
    ]
    (doubt,) = doubts(config(backends={"a": Provider(provider="openai", api_base="http://api.example.com/v1")}))
    assert "unencrypted" in doubt
    for api_base in ("https://api.example.com/v1", "http://127.0.0.1:1/v1", "http://localhost", None):
        assert not doubts(config(backends={"a": Provider(provider="openai", api_base=api_base)}))


def test_a_fallback_to_the_very_same_model_is_a_doubt() -> None:
    same = {"m": Model(backend="a", served_model="x", fallback=("n",)), "n": Model(backend="a", served_model="x")}
    assert doubts(config(models=same)) == [
        "models.m.fallback[0]: falls back to the very same model of the same backend"
    ]


def test_a_limit_that_another_one_makes_useless_is_a_doubt() -> None:
    limits = msgspec.structs.replace(Config().server.limits, first_byte_s=900.0, connect_s=1000.0)
    server = msgspec.structs.replace(Config().server, limits=limits)
    told = [doubt.split(":")[0] for doubt in doubts(config(server=server))]
    assert told == ["server.limits.connect_s", "server.limits.first_byte_s", "server.limits.connect_s"]


def test_no_two_listeners_share_a_port_whichever_they_are() -> None:
    server = Server(bind="127.0.0.1:80", ops="127.0.0.1:81", control=Control(bind="0.0.0.0:81"))
    assert problems(config(server=server)) == [
        "server.control.bind: ops (127.0.0.1:81) and control.bind (0.0.0.0:81) need the same port: give one another"
    ]


def test_the_secret_before_opens_no_second_key_and_is_not_the_same_as_the_present_one() -> None:
    def keys(**found: Key) -> Config:
        return config(tenants={"t": Tenant(models=("m",), keys=found)})

    rotated = Key(digest=b"1" * 32, previous=PreviousKey(digest=b"2" * 32, expires_s=9))
    assert not problems(keys(k=rotated))
    told = "two keys have the same hash: one secret opens one key"
    assert problems(keys(k=rotated, l=Key(digest=b"2" * 32))) == [f"tenants.t.keys.l.hash: {told}"]
    same = Key(digest=b"1" * 32, previous=PreviousKey(digest=b"1" * 32, expires_s=9))
    assert problems(keys(k=same)) == [f"tenants.t.keys.k.previous.hash: {told}"]


def test_secrets_that_stand_in_a_file_are_doubted() -> None:
    def written(token: str, store: str) -> list[str]:
        found = config(
            server=Server(control=Control(admin_token=token)), stores=Stores(meters="redis://:pw@h:1/0", control=store)
        )
        return [line.partition(": ")[0] for line in doubts(found)]

    assert written("0123456789abcdef" * 2, "postgresql://u:pw@h/d") == [
        "server.control.admin_token",
        "stores.meters",
        "stores.control",
    ]
    assert written("${TOKEN}", "postgresql://u:${PW}@h/d") == ["stores.meters"]


def test_a_control_listener_that_cannot_be_offered_is_a_doubt() -> None:
    on, off = config(server=Server(control=Control())), config()
    lacking = "it needs fastapi"
    found = list(review.missing_control(on, lambda: lacking))
    assert [(finding.path, finding.message) for finding in found] == [(("server", "control"), lacking)]
    assert list(review.missing_control(on, lambda: None)) == []
    assert list(review.missing_control(off, lambda: lacking)) == []
