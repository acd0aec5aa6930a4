from __future__ import annotations

from pathlib import Path

from gateway.config.load import load
from gateway.config.model import Config
from gateway.control.difference import differences

OLD = """
backends: {gpu: {kind: vllm, endpoints: [{url: "http://gpu-1:8000"}], api_key: first-secret}}
models: {m: {backend: gpu}}
tenants:
  acme:
    models: ["*"]
    meters: [{cap: $50, window: month}]
    keys: {app: {hash: "sha256:HASH1"}, same: {hash: "sha256:HASH3"}}
""".replace("HASH1", "1" * 64).replace("HASH3", "3" * 64)


def configured(folder: Path, text: str) -> Config:
    (folder / "a.yaml").write_text(text)
    return load(folder, environ={})


def test_equal_configurations_differ_in_nothing(tmp_path: Path) -> None:
    assert list(differences(configured(tmp_path, OLD), configured(tmp_path, OLD))) == []


def test_each_entry_that_differs_is_told_and_no_secret_is(tmp_path: Path) -> None:
    new = OLD.replace("$50", "$60").replace("first-secret", "second-secret").replace("app:", "web:")
    new = new.replace("1" * 64, "2" * 64)
    found = list(differences(configured(tmp_path, OLD), configured(tmp_path, new)))
    assert [(each.path, each.change) for each in found] == [
        ("backends.gpu.api_key", "changed"),
        ("tenants.acme.keys.app", "removed"),
        ("tenants.acme.keys.web", "added"),
        ("tenants.acme.meters", "changed"),
    ]
    assert found[0][2:] == ("…", "…")
    assert found[1].before["hash"] == "…"
    assert found[3][2:] == ([{"cap": "$50", "window": "month"}], [{"cap": "$60", "window": "month"}])
    assert "secret" not in str(found)
    assert "1111" not in str(found)
