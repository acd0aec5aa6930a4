from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from gateway.config import nodes
from gateway.config.model import Config
from gateway.config.shape import Shaper, dotted, nearest


class Leaf(Struct, frozen=True, forbid_unknown_fields=True):
    count: Annotated[int, Meta(ge=1), Meta(extra={"unit": "number", "allowed": "a number from 1"})]
    names: tuple[str, ...] = ()


class Root(Struct, frozen=True, forbid_unknown_fields=True):
    leaves: dict[str, Leaf] = {}
    flag: bool = False


def shape(kind: Any, text: str, environ: Mapping[str, str] | None = None) -> tuple[Any, list[str]]:
    found: list[str] = []
    shaper = Shaper(environ or {}, lambda path, node, message: found.append(f"{node.line} {dotted(path)}: {message}"))
    return shaper.build(kind, nodes.from_yaml(text, "f"), ()), found


def test_a_tree_becomes_structs() -> None:
    built, found = shape(Root, "leaves: {a: {count: 2, names: [x, y]}}\nflag: true")
    assert built == Root({"a": Leaf(2, ("x", "y"))}, True)
    assert not found


def test_every_mistake_is_told_with_its_line_and_path() -> None:
    built, found = shape(Root, "leaves:\n  a: {count: 0}\n  b:\n    names: x\nflag: maybe\nflags: 1")
    assert built is None
    assert found == [
        "6 flags: unknown key; did you mean flag?",
        "2 leaves.a.count: expected a number from 1, got 0",
        "4 leaves.b: the key count is missing",
        '4 leaves.b.names: expected a list, got "x"',
        '5 flag: expected true or false, got "maybe"',
    ]


def test_a_section_whose_lines_are_all_commented_out_is_empty() -> None:
    assert shape(Root, "leaves:\nflag: true")[0] == Root({}, True)


@pytest.mark.parametrize(
    "text", ["[]", "x", "5", "leaves: []", "leaves: x", "leaves: {a: }", "leaves: {a: []}", "flag: {}"]
)
def test_a_wrong_shape_at_any_level_is_told(text: str) -> None:
    built, found = shape(Root, text)
    assert built is None
    assert found


def test_an_unknown_kind_of_backend_names_the_nearest() -> None:
    built, found = shape(Config, "backends: {a: {kind: vlm}, b: {endpoints: []}, c: {kind: [x]}}")
    assert built is None
    assert found[0] == '1 backends.a.kind: "vlm" is not a known kind; did you mean vllm?'
    assert found[1] == "1 backends.b: the key kind is missing: one of embedded, fake, provider, v2, vllm"


@pytest.mark.parametrize(
    "text",
    [
        "servr: {}",
        "server: {bnd: x}",
        "server: {limits: {bodi: 1}}",
        "server: {retries: {attempt: 1}}",
        "backends: {a: {kind: fake, scrpt: x}}",
        "backends: {a: {kind: vllm, endpoints: [{url: 'http://a', weight: 1}]}}",
        "models: {m: {backend: a, fallbacks: []}}",
        "tenants: {t: {models: [], key: {}}}",
        "tenants: {t: {models: [], keys: {k: {hash: 'sha256:" + "a" * 64 + "', expire: x}}}}",
        "telemetry: {access_logs: true}",
    ],
)
def test_an_unknown_key_is_an_error_at_every_level(text: str) -> None:
    built, found = shape(Config, text)
    assert built is None
    assert len(found) == 1
    assert "unknown key; " in found[0]


def test_a_reference_to_the_environment_is_checked_and_left_as_written() -> None:
    text = "backends: {a: {kind: vllm, endpoints: [{url: 'http://${HOST}'}], api_key: '${KEY}'}}"
    built, found = shape(Config, text, {"HOST": "h", "KEY": "k"})
    assert not found
    assert built.backends["a"].endpoints[0].url == "http://${HOST}"
    assert built.backends["a"].api_key == "${KEY}"
    assert shape(Config, text, {"HOST": "a b", "KEY": "k"})[1][0].startswith("1 backends.a.endpoints[0].url: a URL")
    assert "variable KEY is not set" in shape(Config, text, {"HOST": "h"})[1][0]


def test_a_secret_from_the_environment_is_judged_but_never_shown() -> None:
    text = "backends: {a: {kind: vllm, endpoints: [{url: 'http://h'}], api_key: '${KEY}'}}"
    _, found = shape(Config, text, {"KEY": "two words\n"})
    assert len(found) == 1
    assert "two words" not in found[0]


def test_a_reference_where_none_belongs_is_told() -> None:
    assert (
        "only in api_key, api_base, url, webhook, secret, endpoint, headers, admin_token and stores"
        in shape(Config, "models: {m: {backend: a, served_model: '${X}'}}", {"X": "x"})[1][0]
    )


def test_a_path_reads_as_it_is_written() -> None:
    assert dotted(("tenants", "acme", "keys", "app")) == "tenants.acme.keys.app"
    assert dotted(("backends", "a.b", "endpoints", 0)) == 'backends."a.b".endpoints[0]'
    assert "secret" not in dotted(("tenants", "lg-secretsecretsecretsecret"))


def test_an_unknown_word_gets_the_nearest_or_all() -> None:
    assert nearest("servr", ["server", "models"]) == "did you mean server?"
    assert nearest("zzz", ["b", "a"]) == "known: a, b"
    assert nearest("zzz", []) == "there are none"
    assert nearest("m77777x", [f"m{n}" for n in range(100_000)]).startswith("did you mean m")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["server", "bind", "limits", "body", "backends", "kind", "models", "keys", "hash", "fallback"]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(JUNK)
def test_any_tree_is_a_configuration_or_has_a_problem(value: Any) -> None:
    import json

    found: list[str] = []
    shaper = Shaper({}, lambda path, node, message: found.append(message))
    built = shaper.build(Config, nodes.from_json(json.dumps(value), "f", 1), ())
    assert (built is None) == bool(found)


class Named(Struct, frozen=True, forbid_unknown_fields=True):
    path: str


class Left(Struct, frozen=True, tag_field="kind", tag="left", forbid_unknown_fields=True):
    a: int


class Right(Struct, frozen=True, tag_field="kind", tag="right", forbid_unknown_fields=True):
    b: dict[str, str | Named]


Either = Annotated[Left | Right, Meta(extra={"kind": "left"})]


def test_a_struct_that_names_no_kind_is_of_the_default_one() -> None:
    assert shape(Either, "a: 1") == shape(Either, "{kind: left, a: 1}") == (Left(1), [])
    assert shape(Either, "b: {}")[1] == ["1 b: unknown key; it is one of kind: right", "1 : the key a is missing"]


def test_a_text_may_stand_for_a_struct() -> None:
    assert shape(Either, "{kind: right, b: {x: y, z: {path: y}}}") == (Right({"x": "y", "z": Named("y")}), [])
    assert shape(Either, "{kind: right, b: {x: 1}}")[1] == ["1 b.x: expected a map of settings, got 1"]
