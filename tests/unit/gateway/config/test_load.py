from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.config.load import MAX_PROBLEMS, VARIABLES, load, load_with_places
from gateway.config.model import Column, Config, Onnx, Overrides, Version
from gateway.errors import ConfigError

HASH = "sha256:" + "ab" * 32
BASE = "backends: {b: {kind: fake}}\nmodels: {m: {backend: b}}\n"


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, text in files.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def problems(folder: Path, files: Mapping[str, str | bytes], **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as told:
        load(write(folder, files), environ=environ)
    return str(told.value).split("\n")


def test_a_configuration_means_the_same_however_it_is_split(tmp_path: Path) -> None:
    one, many = tmp_path / "one", tmp_path / "many"
    one.mkdir()
    many.mkdir()
    tenant = f"tenants: {{t: {{models: [m], keys: {{k: {{hash: '{HASH}', expires: 2027-06-30}}}}}}}}\n"
    write(one, {"a.yaml": BASE + tenant + "server: {workers: 3, ops: 127.0.0.1:1}\n"})
    write(
        many,
        {
            "server.yml": "server: {workers: 3}",
            "z.yaml": "server: {ops: 127.0.0.1:1}\ntenants: {t: {models: [m]}}",
            "b.yaml": "backends: {b: {kind: fake}}\ntelemetry:",
            "models-1.jsonl": '{"name": "m", "backend": "b"}',
            "keys.jsonl": f'{{"tenant": "t", "key": "k", "hash": "{HASH}", "expires": "2027-06-30"}}',
            "README.md": "not read",
            ".hidden.yaml": "nonsense: [",
        },
    )
    assert load(one, environ={}) == load(many, environ={})


def test_a_file_of_comments_is_empty_and_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    assert load(
        write(tmp_path, {"a.yaml": "# nothing", "b.yaml": b"", "c.yaml": b"\xef\xbb\xbfserver: {workers: 2}"}),
        environ={},
    ) == (load_with_places(tmp_path, environ={}).config)
    assert load(tmp_path, environ={}).server.workers == 2


def test_a_folder_that_holds_no_configuration_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file ends with \.yaml"):
        load(tmp_path, environ={})
    with pytest.raises(ConfigError, match="cannot read this folder"):
        load(tmp_path / "none", environ={})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"\xff", "a.yaml:1: not UTF-8 text"),
        (b"# \n# \xe4", "a.yaml:2: not UTF-8 text"),
        (
            "[1]",
            "a.yaml:1: expected sections: server, backends, models, tenants, chains, webhooks, meters, stores, ",
        ),
        ("text", "a.yaml:1: expected sections"),
        ("server: 5", "a.yaml:1: server: expected a map"),
        ("\nsever: {}", "a.yaml:2: sever: unknown section; did you mean server?"),
        (
            "guardrails: {}",
            "unknown section; known: backends, chains, meters, models, server, stores, telemetry, tenants, webhooks",
        ),
        ("a: 1\na: 2", 'a.yaml:2: the key "a" is there twice'),
        ("server:\n\tbind: x", "a.yaml:2: "),
        ("[" * 9999, "nested deeper"),
        ("server: {workers: 99999999999999999999999}", "expected auto, or a whole number"),
        ("server: {limits: {body: 99999999TB}}", "expected a size"),
        ("server: {limits: {body: 2000GiB}}", "expected a size from 1 byte to 1TiB"),
        ("server: {limits: {total_s: .inf}}", "expected a number of seconds"),
        ("server: {limits: {total_s: 1e999}}", "expected a number of seconds"),
        ("server: {bind: 127.0.0.1:8081}", "need the same port"),
        ("models: {m: {backend: nope}}", 'a.yaml:1: models.m.backend: there is no backend "nope"; there are none'),
    ],
)
def test_a_file_that_cannot_run_is_told_with_its_place(tmp_path: Path, text: str | bytes, told: str) -> None:
    (problem,) = problems(tmp_path, {"a.yaml": text})
    assert told in problem


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        {
            "a.yaml": "server:\n  bnd: x\nmodels: {m: {}}",
            "b.yaml": "telemetry: {log_level: loud}",
            "keys.jsonl": '{"tenant": "t"}',
        },
        LOCKGATE_PORT="http",
    )
    assert [problem.split(": ")[0] for problem in found] == [
        "a.yaml:2", "a.yaml:3", "b.yaml:1", "keys.jsonl:1", "keys.jsonl:1", "LOCKGATE_PORT",
    ]  # fmt: skip


def test_a_file_full_of_mistakes_ends_after_the_first_ones(tmp_path: Path) -> None:
    found = problems(tmp_path, {"a.yaml": BASE, "keys.jsonl": "x\n" * 100_000})
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1] == "… and more"


@pytest.mark.parametrize(
    ("first", "second", "path"),
    [
        ("backends: {x: {kind: fake}}", "backends: {x: {kind: fake}}", "backends.x"),
        ("server: {workers: 1}", "server: {workers: 1}", "server.workers"),
        ("tenants: {t: {models: []}}", "tenants: {t: {models: []}}", "tenants.t"),
    ],
)
def test_an_entry_in_two_files_is_an_error_that_names_both(tmp_path: Path, first: str, second: str, path: str) -> None:
    assert problems(tmp_path, {"a.yaml": first, "b.yaml": "\n" + second}) == [
        f"b.yaml:2: {path}: it is there twice, first in a.yaml:1"
    ]


def test_a_key_or_model_twice_across_yaml_and_lines_is_an_error_that_names_both(tmp_path: Path) -> None:
    line = f'{{"tenant": "t", "key": "k", "hash": "sha256:{"cd" * 32}"}}'
    tenants = f"tenants:\n  t:\n    models: [m]\n    keys:\n      k: {{hash: '{HASH}'}}\n"
    found = problems(
        tmp_path,
        {"a.yaml": BASE + tenants, "keys.jsonl": line, "models.jsonl": '{"name": "n", "backend": "b"}\n' * 2},
    )
    assert found == [
        "keys.jsonl:1: tenants.t.keys.k: this key is there twice, first in a.yaml:7",
        "models.jsonl:2: models.n: it is there twice, first in models.jsonl:1",
    ]


def test_one_hash_in_two_files_is_an_error_that_names_both(tmp_path: Path) -> None:
    tenants = f"tenants: {{t: {{models: [m], keys: {{k: {{hash: '{HASH}'}}}}}}}}\n"
    line = f'\n{{"tenant": "t", "key": "l", "hash": "{HASH}"}}'
    (problem,) = problems(tmp_path, {"a.yaml": BASE + tenants, "keys.jsonl": line})
    assert problem.startswith("keys.jsonl:2: tenants.t.keys.l.hash: two keys have the same hash")
    assert problem.endswith("(see also a.yaml:3: tenants.t.keys.k)")
    assert "abab" not in problem


def test_a_key_of_an_unknown_tenant_names_the_nearest(tmp_path: Path) -> None:
    line = f'{{"tenant": "acne", "key": "k", "hash": "{HASH}"}}'
    found = problems(tmp_path, {"a.yaml": BASE + "tenants: {acme: {models: [m]}}", "keys.jsonl": line})
    assert found == ['keys.jsonl:1: tenant: there is no tenant "acne"; did you mean acme?']


def test_an_unreadable_file_does_not_make_its_tenants_missing(tmp_path: Path) -> None:
    line = f'{{"tenant": "t", "key": "k", "hash": "{HASH}"}}'
    assert len(problems(tmp_path, {"a.yaml": "tenants: {t: [", "keys.jsonl": line})) == 1


def test_tenants_may_stand_in_lines_and_their_keys_too(tmp_path: Path) -> None:
    files = {
        "a.yaml": BASE + "tenants: {t: {models: [m]}}\n",
        "keys.jsonl": f'{{"tenant": "u", "key": "k", "hash": "sha256:{"0" * 64}"}}',
        "tenants.jsonl": '{"name": "u", "models": ["*"], "meters": [{"cap": "5 concurrent"}]}',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    config = load(tmp_path, environ={})
    assert list(config.tenants) == ["t", "u"]
    assert list(config.tenants["u"].keys) == ["k"]
    again = {**files, "tenants-b.jsonl": files["tenants.jsonl"] + '\n{"name": "t", "models": []}'}
    assert (
        problems(tmp_path, again)
        == [
            "tenants.jsonl:1: tenants.u: it is there twice, first in tenants-b.jsonl:1",
            "tenants-b.jsonl:2: tenants.t: it is there twice, first in a.yaml:3",
        ][::-1]
    )
    (tmp_path / "tenants-b.jsonl").unlink()
    told = problems(tmp_path, {**files, "tenants.jsonl": '{"name": "u", "models": [], "modles": []}'})
    assert told == ["tenants.jsonl:1: modles: unknown key; did you mean models?"]  # and no word of its keys


def test_a_lines_file_of_unknown_purpose_is_told(tmp_path: Path) -> None:
    assert problems(tmp_path, {"a.yaml": BASE, "callers.jsonl": ""}) == [
        "callers.jsonl: expected a name that begins with keys, models or tenants, such as keys-acme.jsonl"
    ]


def test_a_pipe_or_a_folder_with_the_name_of_a_file_is_told_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").mkdir()
    (tmp_path / "c.yaml").symlink_to("nowhere")
    assert problems(tmp_path, {}) == [
        "a.yaml: not a file",
        "b.yaml: not a file",
        "c.yaml: cannot read this file: No such file or directory",
    ]


def test_a_pasted_secret_is_never_repeated(tmp_path: Path) -> None:
    secret = "lg-" + "Zz09_-x" * 6 + "a"
    found = problems(
        tmp_path,
        {
            "a.yaml": f"tenants: {{t: {{models: ['{secret}!'], keys: {{k: {{hash: {secret}}}, '{secret} ': {{}}}}}}}}\n"
            f"{secret}: 1\nserver: {{bind: {secret}, workers: {secret}, {secret}: 1}}",
            "keys.jsonl": f'{{"tenant": "{secret}", "key": "k", "hash": "{secret}"}}',
        },
    )
    assert len(found) >= 7
    assert "Zz09" not in "".join(found)


def test_flags_beat_the_environment_which_beats_the_files(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": "server: {bind: '1.1.1.1:1', workers: 1, state_dir: a}\ntelemetry: {log_level: error}"})
    environ = {
        "LOCKGATE_BIND": "2.2.2.2:2",
        "LOCKGATE_WORKERS": "2",
        "LOCKGATE_OPS": "2.2.2.2:3",
        "LOCKGATE_STATE_DIR": "",
    }
    found = load(tmp_path, environ=environ, overrides=Overrides(workers=3, port=0, log_level="debug"))
    assert (found.server.bind, found.server.workers, found.server.ops) == ("2.2.2.2:0", 3, "2.2.2.2:3")
    assert (found.server.state_dir, found.telemetry.log_level) == ("a", "debug")


@pytest.mark.parametrize(
    ("environ", "flags", "bind"),
    [
        ({"LOCKGATE_PORT": "7"}, Overrides(), "127.0.0.1:7"),
        ({"LOCKGATE_BIND": "0.0.0.0:6", "LOCKGATE_PORT": "7"}, Overrides(), "0.0.0.0:7"),
        ({"LOCKGATE_PORT": "7"}, Overrides(bind="[::1]:5"), "[::1]:5"),
        ({"LOCKGATE_BIND": "[::]:6"}, Overrides(port=5), "[::]:5"),
    ],
)
def test_a_port_replaces_only_the_port(tmp_path: Path, environ: Mapping[str, str], flags: Overrides, bind: str) -> None:
    assert load(write(tmp_path, {"a.yaml": ""}), environ=environ, overrides=flags).server.bind == bind


def test_a_wrong_flag_or_variable_is_told_by_its_own_name(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": ""})
    environ = dict.fromkeys(VARIABLES.values(), "!?:") | {"LOCKGATE_STATE_DIR": "fine"}
    with pytest.raises(ConfigError) as told:
        load(tmp_path, environ=environ, overrides=Overrides(port=70_000, workers=0))
    places = {problem.split(": ")[0] for problem in str(told.value).split("\n")}
    assert places == {*VARIABLES.values(), "--port", "--workers"} - {"LOCKGATE_STATE_DIR"}


def test_a_wrong_flag_is_named_once(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": ""})
    with pytest.raises(ConfigError, match=r"^--port: expected a port from 0 to 65535, got 70000$"):
        load(tmp_path, environ={}, overrides=Overrides(port=70_000))


def test_a_problem_with_an_overridden_value_is_told_where_it_came_from(tmp_path: Path) -> None:
    write(tmp_path, {"a.yaml": ""})
    with pytest.raises(ConfigError, match=r"^--ops: server\.ops: .*\(see also LOCKGATE_BIND: server\.bind\)$"):
        load(tmp_path, environ={"LOCKGATE_BIND": "0.0.0.0:5"}, overrides=Overrides(ops="127.0.0.1:5"))


def test_references_are_checked_and_left_as_written(tmp_path: Path) -> None:
    text = "backends:\n  b:\n    kind: vllm\n    endpoints: [{url: 'http://${HOST}:80'}]\n    api_key: ${KEY}\n"
    assert problems(tmp_path, {"a.yaml": text}, HOST="x") == [
        "a.yaml:5: backends.b.api_key: the environment variable KEY is not set"
    ]
    backend = load(tmp_path, environ={"HOST": "x", "KEY": "k"}).backends["b"]
    assert "${HOST}" in repr(backend)


def test_the_process_s_own_environment_is_used_when_none_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCKGATE_WORKERS", "7")
    assert load(write(tmp_path, {"a.yaml": ""})).server.workers == 7


def test_an_empty_file_is_the_default_configuration(tmp_path: Path) -> None:
    assert load(write(tmp_path, {"a.yaml": ""}), environ={}) == Config()


CLASSIC = "models:\n  c:\n    kind: onnx\n    versions: {3: models/c-3.onnx, 4: {path: models/c-4}}\n"


def test_a_classic_model_needs_no_backend(tmp_path: Path) -> None:
    schema = "    schema: {age: {type: number, min: 18, max: 120}, plan: {one_of: [free, pro]}}\n"
    model = load(write(tmp_path, {"a.yaml": CLASSIC + schema}), environ={}).models["c"]
    assert isinstance(model, Onnx)
    assert model.versions == {"3": "models/c-3.onnx", "4": Version(path="models/c-4")}
    assert model.schema == {"age": Column(type="number", min=18, max=120), "plan": Column(one_of=("free", "pro"))}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (CLASSIC + "    schemas: {}", "a.yaml:5: models.c.schemas: unknown key; did you mean schema?"),
        (CLASSIC + "    backend: b", "a.yaml:5: models.c.backend: unknown key; it is one of kind: backend"),
        (
            "models: {c: {backend: b, versions: {1: x.onnx}}}",
            "a.yaml:1: models.c.versions: unknown key; it is one of kind: onnx",
        ),
        ("models: {c: {kind: onxx}}", 'a.yaml:1: models.c.kind: "onxx" is not a known kind; did you mean onnx?'),
        ("models: {c: {kind: onnx}}", "a.yaml:1: models.c: the key versions is missing"),
        (
            "models: {c: {kind: onnx, versions: }}",
            "a.yaml:1: models.c.versions: expected at least one version, such as 3: PATH, got none",
        ),
        (
            "models:\n  c:\n    kind: onnx\n    versions:\n      1: {file: x.onnx}",
            "a.yaml:5: models.c.versions.1.file: unknown key; known: digest, path, schema",
        ),
        (
            "models: {c: {kind: onnx, versions: {1: 5}}}",
            "a.yaml:1: models.c.versions.1: expected a map of settings, got 5",
        ),
        (
            CLASSIC + "    schema:\n      age: {minimum: 1}",
            "a.yaml:6: models.c.schema.age.minimum: unknown key; did you mean min?",
        ),
        (
            CLASSIC + "    schema: {age: {min: young}}",
            'a.yaml:5: models.c.schema.age.min: expected a number, got "young"',
        ),
        (
            CLASSIC + "    schema: {age: {nulls: drop}}",
            'a.yaml:5: models.c.schema.age.nulls: expected refuse, impute or pass, got "drop"',
        ),
        (
            CLASSIC + "    schema: {age: {one_of: [[1]]}}",
            "a.yaml:5: models.c.schema.age.one_of[0]: expected a text, a number, true or false, got a list",
        ),
        (
            CLASSIC + "    schema: {age: {min: 5, max: 3}}",
            "(see also a.yaml:5: models.c.schema.age.max)",
        ),
    ],
)
def test_a_mistake_in_a_classic_model_is_told_where_it_stands(tmp_path: Path, text: str, told: str) -> None:
    assert any(told in problem for problem in problems(tmp_path, {"a.yaml": text}))


@pytest.mark.parametrize(
    ("written", "environ", "told"),
    [
        ("${TOKEN}", {}, ""),
        ("${TOKEN}", {"TOKEN": ""}, ""),
        ("${TOKEN}", {"TOKEN": "0123456789abcdef" * 2}, ""),
        ("${TOKEN}", {"TOKEN": "changeme"}, "at least 32 random characters"),
        ("", {}, "not empty"),
        ("secret", {}, "at least 32 random characters"),
    ],
)
def test_the_control_listener_has_a_good_token_or_is_off(
    tmp_path: Path, written: str, environ: dict[str, str], told: str
) -> None:
    (tmp_path / "a.yaml").write_text(f'server: {{control: {{admin_token: "{written}"}}}}')
    if not told:
        control = load(tmp_path, environ=environ).server.control
        assert control is not None
        assert control.admin_token == written
        assert "TOKEN" not in repr(control)
        return
    with pytest.raises(ConfigError, match=told) as refused:
        load(tmp_path, environ=environ)
    assert "a.yaml:1: server.control.admin_token: " in str(refused.value)
    assert "changeme" not in str(refused.value)
