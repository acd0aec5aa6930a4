from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.config import archive, price_map, snapshot
from gateway.config.load import load
from gateway.config.model_meters import TokenPrices
from gateway.errors import ConfigError

GPT = {"provider": "openai", "input": "$0.15/1M", "cached_input": "$0.075/1M", "output": "$0.6/1M"}


def write(folder: Path, entries: dict[str, dict[str, str]], models: str) -> None:
    (folder / "a.yaml").write_text(
        "backends: {own: {kind: vllm, endpoints: [{url: http://a}]},\n"
        "  cloud: {kind: provider, provider: openai, api_key: k},\n"
        "  elsewhere: {kind: provider, provider: azure, api_key: k}}\n"
        f"models: {models}\n"
    )
    (folder / "prices.json").write_text(price_map.text("by hand", entries))


def refused(folder: Path) -> str:
    with pytest.raises(ConfigError) as raised:
        load(folder, environ={})
    return str(raised.value)


def test_a_price_is_looked_up_by_what_is_served_and_kept_in_the_snapshot(tmp_path: Path) -> None:
    models = (
        "{gpt: {backend: cloud, served_model: gpt-4o-mini, price: from_price_map}, "
        "gpt-4o-mini: {backend: own, price: from_price_map}, free: {backend: own, price: free}}"
    )
    write(tmp_path, {"gpt-4o-mini": GPT}, models)
    config = load(tmp_path, environ={})
    expected = TokenPrices(input=15 * 10**10, cached_input=75 * 10**9, output=6 * 10**11)
    assert config.models["gpt"].price == config.models["gpt-4o-mini"].price == expected
    assert archive.decode(archive.encode(config)) == config
    priced = snapshot.compile(config, "d").models["gpt"].price
    assert priced is not None
    assert (priced.input, priced.reasoning) == (15 * 10**10, 6 * 10**11)


def test_a_name_with_its_provider_is_looked_up_first(tmp_path: Path) -> None:
    azure = {"provider": "azure", "input": "$1/1M", "output": "$2/1M"}
    write(
        tmp_path,
        {"gpt-4o-mini": GPT, "azure/gpt-4o-mini": azure},
        "{m: {backend: elsewhere, served_model: gpt-4o-mini, price: from_price_map}}",
    )
    assert load(tmp_path, environ={}).models["m"].price == TokenPrices(input=10**12, output=2 * 10**12)


def test_the_price_of_another_provider_is_not_taken(tmp_path: Path) -> None:
    model = "{m: {backend: elsewhere, served_model: gpt-4o-mini, price: from_price_map}}"
    write(tmp_path, {"gpt-4o-mini": GPT}, model)
    assert refused(tmp_path) == (
        'a.yaml:4: models.m.price: prices.json has "gpt-4o-mini" of "openai", and the backend asks azure: write a price'
    )


@pytest.mark.parametrize(
    ("owner", "provider", "same"),
    [("openai", "openai", True), ("vertex_ai-language-models", "vertex_ai", True),
     ("bedrock_converse", "bedrock", True), ("cohere_chat", "cohere", True), ("cohere", "cohere_chat", True),
     ("azure_ai", "azure", False), ("azure", "azure_ai", False), ("text-completion-openai", "openai", False)],
)  # fmt: skip
def test_a_price_map_names_parts_of_providers(owner: str, provider: str, same: bool) -> None:
    assert price_map.same_provider(owner, provider) is same


def test_a_model_that_is_not_in_the_map_is_told_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, {"gpt-4o-mini": GPT}, "{m: {backend: cloud, served_model: gpt-4o-mni, price: from_price_map}}")
    assert refused(tmp_path) == (
        'a.yaml:4: models.m.price: prices.json has no "openai/gpt-4o-mni" and no "gpt-4o-mni"; '
        "did you mean gpt-4o-mini?"
    )


def test_a_map_that_is_not_there_is_told(tmp_path: Path) -> None:
    write(tmp_path, {}, "{m: {backend: own, price: from_price_map}}")
    (tmp_path / "prices.json").unlink()
    assert "a.yaml:4: models.m.price: there is no prices.json beside this file" in refused(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "prices.json: not a price map"),
        ("[]", "prices.json: not a price map"),
        ('{"prices": []}', "prices.json: not a price map"),
        (
            '{"prices": {"m": {"input": "$-1/1M"}}}',
            'a.yaml:4: models.m.price: prices.json, "m": input: an amount of money',
        ),
        ('{"prices": {"m": {"inputs": "$1/1M"}}}', 'prices.json, "m": inputs: unknown key; did you mean input?'),
        ('{"prices": {"m": 5}}', 'prices.json, "m": expected a map of settings, got 5'),
        ('{"prices": {"m": {"input": 5}}}', 'prices.json, "m": input: expected a price of tokens'),
        ('{"prices": {"m": {}}}', "models.m.price: names no price"),
    ],
)
def test_a_map_that_is_wrong_is_told(tmp_path: Path, text: str, told: str) -> None:
    write(tmp_path, {}, "{m: {backend: own, price: from_price_map}}")
    (tmp_path / "prices.json").write_text(text)
    assert told in refused(tmp_path)


def test_the_file_has_a_model_a_line_in_order() -> None:
    text = price_map.text("x", {"b": {"input": "$1/1M"}, "a": {"input": "$2/1M"}})
    assert json.loads(text)["prices"] == {"a": {"input": "$2/1M"}, "b": {"input": "$1/1M"}}
    assert text.splitlines()[1:3] == ['"a": {"input": "$2/1M"},', '"b": {"input": "$1/1M"}']
