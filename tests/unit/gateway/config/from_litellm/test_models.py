"""gateway.config.from_litellm.models"""

from __future__ import annotations

from typing import Any

from gateway.config.from_litellm import models
from gateway.config.from_litellm.deployments import Deployment, Target
from gateway.config.from_litellm.models import Catalogue
from gateway.config.from_litellm.report import Report
from gateway.config.nodes import Node, from_yaml


def deployment(alias: str, target: Target, served: str = "s", order: float = float("inf")) -> Deployment:
    return Deployment(alias, target, served, order, (), Node({}, "f", 1), ("model_list", 0))


def vllm(host: str, key: str | None = None) -> Target:
    return Target("vllm", "", f"http://{host}:8000", key)


def provider(name: str, base: str | None = None) -> Target:
    return Target("provider", name, base, "${K}")


def catalogue(*entries: tuple[str, list[Deployment]]) -> tuple[Catalogue, Report]:
    found, said = Catalogue(), Report()
    for alias, deployments in entries:
        found.add(alias, deployments, said)
    return found, said


def simple(*aliases: str) -> Catalogue:
    return catalogue(*((alias, [deployment(alias, provider("openai"), alias)]) for alias in aliases))[0]


def test_the_same_model_on_servers_of_ones_own_is_one_backend_with_endpoints() -> None:
    found, said = catalogue(("m", [deployment("m", vllm("a")), deployment("m", vllm("b"))]))
    endpoints = [{"url": "http://a:8000"}, {"url": "http://b:8000"}]
    assert found.backends == {"vllm-a": {"kind": "vllm", "endpoints": endpoints}}
    assert found.models == {"m": {"backend": "vllm-a", "served_model": "s"}}
    assert said.losses == []


def test_unlike_deployments_of_a_name_become_fallbacks_and_balancing_is_a_loss() -> None:
    found, said = catalogue(("m", [deployment("m", provider("openai")), deployment("m", provider("groq"), "t")]))
    assert found.models == {
        "m": {"backend": "openai", "served_model": "s", "fallback": ["m@2"]},
        "m@2": {"backend": "groq", "served_model": "t"},
    }
    assert "was balanced" in said.losses[0].message


def test_an_order_of_deployments_is_kept_without_loss() -> None:
    entries = [deployment("m", provider("openai"), order=2.0), deployment("m", provider("groq"), order=1.0)]
    found, said = catalogue(("m", entries))
    assert (found.models["m"]["backend"], found.models["m@2"]["backend"]) == ("groq", "openai")
    assert said.losses == []


def test_models_of_one_account_share_a_backend_and_names_are_told_apart() -> None:
    found, _ = catalogue(
        ("a", [deployment("a", provider("openai"), "x")]),
        ("b", [deployment("b", provider("openai"), "y")]),
        ("c", [deployment("c", provider("openai", "https://api.groq.com/openai/v1"), "z")]),
        ("d", [deployment("d", vllm("10.0.0.1"), "z")]),
        ("e", [deployment("e", vllm("10.0.0.1", "${K}"), "z")]),
    )
    assert list(found.backends) == ["openai", "openai-groq", "vllm-10.0.0.1", "vllm-10.0.0.1-2"]


def fallbacks(found: Catalogue, text: str) -> Report:
    said = Report()
    models.add_fallbacks(from_yaml(text, "f"), ("fallbacks",), found, said)
    return said


def listed(found: Catalogue) -> dict[str, Any]:
    return {alias: model["fallback"] for alias, model in found.models.items() if "fallback" in model}


def test_fallbacks_are_carried_in_their_order() -> None:
    found = simple("a", "b", "c")
    said = fallbacks(found, "[{a: [b, c]}, {b: [c]}]")
    assert listed(found) == {"a": ["b", "c"], "b": ["c"]}
    assert said.losses == []


def test_models_that_fall_back_to_each_other_get_copies_that_do_not() -> None:
    found = simple("a", "b")
    said = fallbacks(found, "[{a: [b]}, {b: [a]}]")
    assert listed(found) == {"a": ["b"], "b": ["a@alone"]}
    assert said.losses == []
    assert len(said.notes) == 1


def test_fallbacks_that_make_no_sense_are_told_with_the_nearest_name() -> None:
    found = simple("alpha", "beta")
    said = fallbacks(found, "[{alpah: [beta]}, {alpha: [betta, alpha, {model: beta, temperature: 1}]}, 5]")
    assert listed(found) == {}
    assert [line.message for line in said.losses] == [
        'there is no model "alpah"; did you mean alpha?',
        'there is no model "betta"; did you mean beta?',
        "a model cannot fall back to itself",
        "a fallback with parameters of its own cannot be carried: name a model",
        "expected a map",
    ]


def test_a_chain_stays_within_what_is_allowed() -> None:
    names = [f"m{number}" for number in range(12)]
    found = simple(*names)
    said = fallbacks(found, f"[{{m0: [{', '.join(names[1:])}]}}]")
    assert listed(found) == {"m0": names[1:9]}
    assert len(said.losses) == 3


def test_default_fallbacks_are_for_models_that_have_none() -> None:
    found = simple("a", "b", "c")
    fallbacks(found, '[{a: [c]}, {"*": [b]}]')
    assert listed(found) == {"a": ["c"], "c": ["b"]}


def test_other_names_of_a_model_are_models_too() -> None:
    found, said = simple("a", "b"), Report()
    text = "{x: a, y: {model: b, hidden: true}, b: a, z: nothing, 'no name': a}"
    models.add_aliases(from_yaml(text, "f"), ("aliases",), found, said)
    assert found.models["x"] == found.models["a"]
    assert found.models["y"] == found.models["b"]
    assert "z" not in found.models
    assert [line.path[-1] for line in said.losses] == ["hidden", "b", "z", "no name"]


def test_credentials_without_a_name_are_told() -> None:
    said = Report()
    text = "[{credential_name: c, credential_values: {api_key: x}}, {credential_values: {}}]"
    assert list(models.credentials(from_yaml(text, "f"), said)) == ["c"]
    assert len(said.losses) == 1
