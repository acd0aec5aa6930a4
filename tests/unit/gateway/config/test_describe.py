from __future__ import annotations

import msgspec

from gateway.config.describe import SOON_S, describe
from gateway.config.model import (
    V2,
    AnyModel,
    Column,
    Config,
    Control,
    Embedded,
    Endpoint,
    Fake,
    Key,
    Model,
    Onnx,
    Provider,
    Server,
    Tenant,
    Version,
    Vllm,
)
from gateway.config.model_content import Content
from gateway.config.model_telemetry import Otlp, Telemetry

NOW_S = 1_800_000_000


def text(config: Config) -> str:
    return "\n".join(describe(config, NOW_S))


def test_it_says_what_is_reachable_from_where() -> None:
    server = msgspec.structs.replace(Config().server, bind="0.0.0.0:80", ops="10.0.0.1:81", workers=2)
    said = text(Config(server=server))
    assert "0.0.0.0:80, reachable from every network of this machine; callers need a key" in said
    assert "10.0.0.1:81, reachable through 10.0.0.1; metrics and health, no key needed" in said
    assert "127.0.0.1:8080, from this machine only" in text(Config())
    assert "body 20 MB, headers 32 KB, answer 64 MB" in said


def test_it_says_whether_there_is_a_control_listener() -> None:
    def said(token: str | None) -> str:
        return text(Config(server=Server(control=Control(admin_token=token))))

    assert "127.0.0.1:8082, from this machine only; administration, with a token, if ADMIN is set" in said("${ADMIN}")
    assert "control  off: server.control.admin_token is not set" in said(None)
    assert "  control  " not in text(Config())


def test_it_says_where_warnings_go_and_not_by_which_secret() -> None:
    said = text(Config(telemetry=Telemetry(webhook="https://hooks.example.com/T0/secret?key=hidden")))
    assert "warnings  posted to https://hooks.example.com\n" in said
    assert "secret" not in said
    assert "warnings" not in text(Config())


def test_it_says_what_spans_leave_the_host_and_to_where() -> None:
    otlp = Otlp(endpoint="https://otlp.example.com/secret", headers={"authorization": "${TOKEN}"}, sample=0.1)
    said = text(Config(telemetry=Telemetry(otlp=otlp)))
    assert "of 10% of the requests and of all that fail, or as a caller's traceparent says, are sent to " in said
    assert "https://otlp.example.com (http), with authorization: who asked which model" in said
    assert "secret" not in said
    assert "  spans  " not in text(Config())


def test_it_says_what_each_name_leads_to() -> None:
    said = text(
        Config(
            backends={
                "gpu": Vllm(endpoints=(Endpoint(url="http://a:1"), Endpoint(url="http://b:1")), api_key="${KEY}"),
                "cpu": Embedded(model="minilm"),
                "fake": Fake(script="s.yaml"),
                "cloud": Provider(provider="openai", api_key="${KEY}"),
                "nearby": Provider(provider="azure", api_key_file="key", api_base="https://a.example.com"),
                "triton": V2(endpoints=(Endpoint(url="http://t:8000"),)),
            },
            models={
                "small": Model(backend="gpu", served_model="qwen", fallback=("tiny",)),
                "tiny": Model(backend="cpu", fallback=("scripted",)),
                "scripted": Model(backend="fake"),
            },
        )
    )
    assert "vllm, 2 endpoints: http://a:1, http://b:1; key from ${KEY}" in said
    assert "provider openai: sends prompts to openai at its own address; key from ${KEY}" in said
    assert "provider azure: sends prompts to https://a.example.com; key from the file key" in said
    assert "v2, 1 endpoint: http://t:8000" in said
    assert "embedded: minilm, started beside the gateway" in said
    assert "fake: answers from s.yaml, not from a model" in said
    assert "small     gpu as qwen; if it cannot answer: tiny, then scripted" in said


def test_it_says_which_version_of_a_classic_model_is_asked_for_first() -> None:
    pinned = Version(path="models/10", digest="sha256:" + "ab" * 32)
    columns = {"age": Column(min=18), "plan": Column(one_of=("free", "pro"))}
    said = text(Config(models={"churn": Onnx(versions={"9": "models/9.onnx", "10": pinned}, schema=columns)}))
    assert (
        "churn  onnx, inside the gateway: version 10 from models/10 (sha256:abababababab…), 9 from models/9.onnx"
        in said
    )
    assert said.count("2 columns checked") == 1
    assert "rows are not checked" in text(Config(models={"m": Onnx(versions={"1": "a.onnx"})}))


def test_a_secret_in_the_file_is_not_printed() -> None:
    said = text(Config(backends={"gpu": Vllm(endpoints=(Endpoint(url="http://a:1"),), api_key="hunter2")}))
    assert "key in the file" in said
    assert "hunter2" not in said


def test_it_counts_the_keys_that_end_soon() -> None:
    keys = {
        "long": Key(digest=b"1" * 32),
        "later": Key(digest=b"2" * 32, expires_s=NOW_S + SOON_S + 1),
        "soon": Key(digest=b"3" * 32, expires_s=NOW_S + 86_400),
        "gone": Key(digest=b"4" * 32, expires_s=NOW_S),
    }
    said = text(Config(models={"m": Model(backend="b")}, tenants={"t": Tenant(models=("*",), keys=keys)}))
    assert "4 keys, 1 expiring within 30 days (soon on 2027-01-16), 1 expired; may use 1 model: m" in said


def test_ten_thousand_models_are_not_ten_thousand_lines() -> None:
    models: dict[str, AnyModel] = {f"m{n}": Model(backend="b") for n in range(10_000)}
    said = text(Config(models=models, tenants={"t": Tenant(models=("*",))}))
    assert said.count("\n") < 80
    assert "… and 9960 more" in said
    assert "0 keys; may use 10000 models: m0, m1, m10, m100, m1000, m1001, m1002, m1003 and 9992 more" in said


def test_it_says_of_whom_what_is_said_is_kept() -> None:
    content = Content(record="masked", retention_days=1)
    said = text(Config(tenants={"acme": Tenant(models=()), "globex": Tenant(models=(), content=content)}))
    assert "what is said is kept masked for 1 day" in said
    assert said.count("is kept") == 1
