"""gateway.runtime.upstreams"""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.model import V2, Backend, Config, Endpoint, Fake, Limits, Server, Vllm
from gateway.errors import ConfigError
from gateway.runtime.upstreams import Upstreams


def vllm(url: str, api_key: str | None = None) -> Vllm:
    return Vllm(endpoints=(Endpoint(url=url),), api_key=api_key)


def test_an_unchanged_backend_keeps_its_connections_over_a_reload(tmp_path: Path) -> None:
    upstreams = Upstreams(tmp_path)
    before = upstreams.build(Config(backends={"a": vllm("http://a:1"), "b": vllm("http://b:1")}))
    after = upstreams.build(Config(backends={"a": vllm("http://a:1"), "b": vllm("http://b:2")}))
    assert after["a"] is before["a"]
    assert after["b"] is not before["b"]


def test_a_limit_that_connections_are_made_with_makes_them_anew(tmp_path: Path) -> None:
    upstreams = Upstreams(tmp_path)
    backends: dict[str, Backend] = {"a": vllm("http://a:1")}
    before = upstreams.build(Config(backends=backends))
    after = upstreams.build(Config(backends=backends, server=Server(limits=Limits(connect_s=1.0))))
    assert after["a"] is not before["a"]


def test_a_secret_that_is_missing_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    upstreams = Upstreams(tmp_path)
    good = Config(backends={"a": vllm("http://a:1")})
    before = upstreams.build(good)
    with pytest.raises(ConfigError, match="NO_SUCH_KEY"):
        upstreams.build(Config(backends={"a": vllm("http://a:1", "${NO_SUCH_KEY}")}))
    assert upstreams.build(good)["a"] is before["a"]


def test_a_child_is_found_at_the_socket_its_name_and_configuration_give(tmp_path: Path) -> None:
    upstreams = Upstreams(tmp_path)
    (plain,) = upstreams.build(Config(backends={"a": Fake()}))["a"].endpoints
    (scripted,) = upstreams.build(Config(backends={"a": Fake(script="s.yaml")}))["a"].endpoints
    assert plain.name.startswith("unix:///")
    assert plain.name != scripted.name


def test_a_server_of_the_open_inference_protocol_is_asked_for_its_health_at_that_protocols_path(tmp_path: Path) -> None:
    triton = V2(endpoints=(Endpoint(url="http://a:8000"), Endpoint(url="http://b:8000")), api_key="hunter2")
    backend = Upstreams(tmp_path).build(Config(backends={"triton": triton}))["triton"]
    assert (backend.kind, backend.dialect.health_path) == ("v2", b"/v2/health/ready")
    assert [endpoint.name for endpoint in backend.endpoints] == ["http://a:8000", "http://b:8000"]
    head = backend.endpoints[0].head(b"/v2/models/m/infer", "req_1", "", b"application/octet-stream", 2)
    assert b"POST /v2/models/m/infer HTTP/1.1" in head
    assert b"authorization: Bearer hunter2" in head


def test_a_server_beside_us_is_starting_until_its_socket_is_there(tmp_path: Path) -> None:
    upstreams = Upstreams(tmp_path)
    built = upstreams.build(Config(backends={"beside": Fake(), "other": vllm(f"unix://{tmp_path}/none.sock")}))
    (beside,), (other,) = built["beside"].endpoints, built["other"].endpoints
    assert upstreams.starting(beside)
    assert not upstreams.starting(other)  # nobody here starts it: it is down
    assert beside.pool.address.path is not None
    Path(beside.pool.address.path).parent.mkdir(parents=True, exist_ok=True)
    Path(beside.pool.address.path).touch()
    assert not upstreams.starting(beside)


def test_a_drained_endpoint_gets_nothing_new_and_keeps_its_connections(tmp_path: Path) -> None:
    def with_drained(*drained: bool) -> Config:
        ends = tuple(Endpoint(url=f"http://{name}:1", drained=each) for name, each in zip("ab", drained, strict=True))
        return Config(backends={"x": Vllm(endpoints=ends)})

    upstreams = Upstreams(tmp_path)
    backend = upstreams.build(with_drained(False, False))["x"]
    for drained in ((True, False), (True, True), (False, False)):
        assert upstreams.build(with_drained(*drained))["x"] is backend
        assert [view.available for view in backend.views(0.0)] == [not each for each in drained]
