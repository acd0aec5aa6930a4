"""The shape of the project: which folders there are, that each module has its test, and what no file may hold."""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("gateway", "guardrails", "prompts", "evals")
PURE = ("gateway/policy", "gateway/wire", "gateway/errors.py", "guardrails", "prompts")
MOST_LINES = 400

AT_THE_ROOT = {
    *PACKAGES,
    "configs",
    "tests",
    "deploy",
    ".ci",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    ".gitignore",
    ".dockerignore",
    ".pre-commit-config.yaml",
}

# Modules without a test of their own name: which test runs them, and why there. All do I/O; what they decide
# is in modules that have their own.
_EXEMPTIONS: list[tuple[str, str, list[str]]] = [
    (
        "tests/integration/test_http_server.py",
        "the path of a call has no step worth faking: it is asked over sockets, as callers do",
        [
            *(
                "gateway/dataplane/asgi.py",
                "gateway/dataplane/asgi_exchange.py",
                "gateway/dataplane/chat.py",
                "gateway/dataplane/exchange.py",
            ),
            *("gateway/dataplane/gateway.py", "gateway/dataplane/lifecycle.py", "gateway/dataplane/meta.py"),
            *("gateway/dataplane/recording.py", "gateway/dataplane/routes.py", "gateway/dataplane/server.py"),
            *("gateway/dataplane/stream.py", "gateway/dataplane/unary.py"),
        ],
    ),
    (
        "tests/contract/test_meter_stores.py",
        "one contract for all of them, on real servers",
        [
            *("gateway/store/meters.py", "gateway/store/meters_sqlite.py"),
            *("gateway/store/meters_redis.py", "gateway/store/meters_postgres.py"),
        ],
    ),
    (
        "tests/contract/test_control_stores.py",
        "one contract for both, on real servers",
        [
            *("gateway/store/control/postgres.py", "gateway/store/control/postgres_link.py"),
            *("gateway/store/control/queries.py", "gateway/store/control/reading.py"),
            "gateway/store/control/sqlite.py",
        ],
    ),
    (
        "tests/contract/test_control_tampering.py",
        "what it is to find is done to real databases",
        ["gateway/store/control/verifying.py"],
    ),
    ("tests/integration/test_meter_stores.py", "sockets between processes", ["gateway/store/recall_sockets.py"]),
    ("tests/integration/test_agent_spans.py", "a path of requests, over sockets", ["gateway/dataplane/taking.py"]),
    (
        "tests/integration/test_ledger_kill.py",
        "a process that may be killed at any instruction: only processes that are killed show it",
        ["gateway/runtime/keeping.py"],
    ),
    (
        "tests/integration/test_overlay.py",
        "a gateway's processes and its control store, changed and broken as they run",
        ["gateway/runtime/reloading.py", "gateway/runtime/overlaying.py", "gateway/runtime/controlling.py"],
    ),
    (
        "tests/integration/test_meters.py",
        "what is let in, cut and settled shows on the path of a call, in front of a backend that counts",
        [
            *("gateway/dataplane/admission.py", "gateway/dataplane/admitted.py", "gateway/dataplane/counting.py"),
            "gateway/dataplane/holding.py",
            *("gateway/dataplane/meter_answers.py", "gateway/dataplane/running.py", "gateway/dataplane/settling.py"),
        ],
    ),
    (
        "tests/integration/test_meters_counted.py",
        "what asks a backend shows in front of one",
        ["gateway/backends/asking.py", "gateway/dataplane/tokenizing.py"],
    ),
    (
        "tests/integration/test_meters_measured.py",
        "what asks a backend shows in front of one",
        ["gateway/runtime/measuring.py"],
    ),
    (
        "tests/unit/gateway/cli/test_meters.py",
        "what a command reads beside a gateway shows in what it prints",
        ["gateway/runtime/declared_caps.py"],
    ),
    (
        "tests/integration/test_administration.py",
        "use cases over a control store: asked as a client asks, so that what is told is what a client gets",
        [
            *("gateway/control/app.py", "gateway/control/backends.py", "gateway/control/calling.py"),
            *("gateway/control/changes.py", "gateway/control/checking.py", "gateway/control/documents.py"),
            *("gateway/control/entries.py", "gateway/control/errors.py", "gateway/control/keys.py"),
            *("gateway/control/service.py", "gateway/control/snapshots.py", "gateway/control/written.py"),
            *("gateway/control/erasures.py", "gateway/control/records.py", "gateway/control/stored.py"),
            "gateway/control/traces.py",
            *(
                f"gateway/control/routes/{name}.py"
                for name in (
                    *("__init__", "backends", "bodies", "changes", "checks", "erasures", "keys", "meters", "models"),
                    *("paging", "principals", "projects", "records", "snapshots", "tenants", "times", "traces"),
                )
            ),
        ],
    ),
    (
        "tests/integration/test_administration_meters.py",
        "budgets over a real control store, asked as a client asks",
        ["gateway/control/meters.py"],
    ),
    (
        "tests/integration/test_administration_door.py",
        "who is let in shows on every route, with every role",
        ["gateway/control/door.py", "gateway/control/gates.py", "gateway/control/principals.py"],
    ),
    (
        "tests/integration/test_administration_openapi.py",
        "the document is held against the answers",
        [
            *("gateway/control/manual.py", "gateway/control/manual_examples.py", "gateway/control/manual_page.py"),
            "gateway/control/routes/shapes.py",
        ],
    ),
    (
        "tests/integration/test_administration_commands.py",
        "commands against a store and against a listener: both must say the same",
        [
            *("gateway/cli/admin_client.py", "gateway/cli/admin_options.py", "gateway/cli/backends.py"),
            *("gateway/cli/changes.py", "gateway/cli/principals.py", "gateway/cli/projects.py"),
            *("gateway/cli/snapshots.py", "gateway/cli/tenants.py", "gateway/runtime/administering.py"),
            *("gateway/runtime/declared_files.py", "gateway/runtime/control_process.py"),
        ],
    ),
    (
        "tests/integration/test_infer.py",
        "the path of a call to a classic model, asked over sockets too",
        ["gateway/dataplane/infer.py"],
    ),
    (
        "tests/integration/test_replay.py",
        "types of what is read of a record, and nothing else",
        ["gateway/policy/recorded.py"],
    ),
    (
        "tests/integration/test_upstream_failures.py",
        "what they are for is how servers fail, which only a server that fails shows",
        [
            *("gateway/backends/base.py", "gateway/backends/http1.py", "gateway/backends/reply.py"),
            *("gateway/backends/probe.py", "gateway/dataplane/attempt.py", "gateway/dataplane/replies.py"),
        ],
    ),
    (
        "tests/integration/test_provider.py",
        "they are what stands around litellm, which is imported in its own environment only",
        [
            *("gateway/backends/provider.py", "gateway/backends/provider_litellm.py"),
            "gateway/backends/provider_server.py",
        ],
    ),
    (
        "tests/integration/test_serve_start.py",
        "starts processes and sockets; started by the command itself",
        [
            *("gateway/cli/serve.py", "gateway/runtime/failures.py", "gateway/runtime/hosting.py"),
            "gateway/runtime/listeners.py",
            *("gateway/runtime/sockets.py", "gateway/runtime/supervisor.py", "gateway/runtime/worker.py"),
        ],
    ),
    (
        "tests/integration/test_classic_models.py",
        "a process of its own, started by the supervisor",
        ["gateway/runtime/model_trial.py"],
    ),
    (
        "tests/integration/test_serve_crash.py",
        "is there for processes that die, so the test kills them",
        [
            *("gateway/runtime/children.py", "gateway/runtime/journals.py", "gateway/runtime/processes.py"),
            "gateway/runtime/workers.py",
        ],
    ),
    (
        "tests/integration/test_screening.py",
        "what checks let pass shows on the path of a call, in front of a backend that says what it was told",
        [
            *("gateway/dataplane/edited_stream.py", "gateway/dataplane/judging.py", "gateway/dataplane/moderating.py"),
            "gateway/dataplane/screening.py",
        ],
    ),
    ("tests/test_import_rules.py", "protocols alone: what keeps them has tests", ["gateway/wire/edits.py"]),
    ("tests/unit/gateway/store/test_record_spans.py", "plain values, made there", ["gateway/telemetry/spans.py"]),
    (
        "tests/integration/test_offload.py",
        "two ends of a socket, of which one may be killed or stopped",
        ["gateway/offload/client.py", "gateway/offload/server.py"],
    ),
    (
        "tests/integration/test_kept_masks.py",
        "two workers that ask one check process for what the other one masked",
        ["gateway/dataplane/kept_masks.py"],
    ),
    (
        "tests/integration/test_exporter.py",
        "a process of the gateway, which is killed",
        ["gateway/runtime/exporting.py"],
    ),
    (
        "tests/unit/gateway/wire/test_chat_editor.py",
        "what chat and completions share of an edited answer: shown where there is a whole one",
        ["gateway/wire/choices_editor.py", "gateway/wire/message.py"],
    ),
    (
        "tests/unit/gateway/wire/test_chat_answer.py",
        "what chat and completions share of an edited answer: shown where there is a whole one",
        ["gateway/wire/choices_answer.py"],
    ),
    (
        "tests/integration/test_grpc.py",
        "a listener is shown by a real client of the protocol",
        ["gateway/dataplane/grpc_calls.py", "gateway/dataplane/grpc_exchange.py", "gateway/runtime/grpc_listener.py"],
    ),
]
TESTED_ELSEWHERE = {module: (test, reason) for test, reason, modules in _EXEMPTIONS for module in modules}

# Left behind by running things; not part of the project where there is no git to ask.
_BUILT = {"__pycache__", "dist", "build", "state", ".git", ".hypothesis", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


def _files() -> list[Path]:
    """The project's files, relative to its root: what git tracks or would track, else what lies there."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            check=False,
            text=True,
        )
        if listed.returncode == 0:
            return sorted(Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())
    return sorted(
        path.relative_to(ROOT)
        for path in ROOT.rglob("*")
        if path.is_file() and not any(_is_built(part) for part in path.relative_to(ROOT).parts)
    )


def _is_built(part: str) -> bool:
    return part in _BUILT or part.startswith(".venv") or part.endswith((".egg-info", "_cache"))


FILES = _files()


def _modules() -> Iterator[Path]:
    """Modules that do something: those that only say what a package is, or gather names, have nothing to test."""
    for path in FILES:
        if path.suffix != ".py" or path.parts[0] not in PACKAGES:
            continue
        statements = ast.parse((ROOT / path).read_text()).body
        if any(not isinstance(node, ast.Expr | ast.Import | ast.ImportFrom) for node in statements):
            yield path


def _mirror(module: Path) -> Path:
    name = "package" if module.name == "__init__.py" else module.stem.strip("_")
    return Path("tests/unit", *module.parts[:-1], f"test_{name}.py")


def test_the_root_holds_only_what_the_design_gives_it() -> None:
    assert {path.parts[0] for path in FILES} <= AT_THE_ROOT


def test_every_module_has_the_test_that_bears_its_name_or_a_reason_why_not() -> None:
    known = set(FILES)
    missing = [
        f"{module}: write {_mirror(module)}, or name its test in _EXEMPTIONS"
        for module in _modules()
        if _mirror(module) not in known and str(module) not in TESTED_ELSEWHERE
    ]
    assert not missing, "\n".join(missing)


def test_every_exemption_is_needed_and_names_a_test_that_exists() -> None:
    modules = {str(module): module for module in _modules()}
    known = set(FILES)
    for name, (test, reason) in TESTED_ELSEWHERE.items():
        assert name in modules, f"{name} is gone: strike it from _EXEMPTIONS"
        assert _mirror(modules[name]) not in known, f"{name} has a test of its own name now: strike it from _EXEMPTIONS"
        assert Path(test) in known, f"{name} is said to be tested by {test}, which does not exist"
        assert reason


def test_every_unit_test_bears_the_name_of_a_module() -> None:
    mirrors = {_mirror(path) for path in FILES if path.suffix == ".py" and path.parts[0] in PACKAGES}
    strays = [
        str(path)
        for path in FILES
        if path.parts[:2] == ("tests", "unit")
        and path.parts[2] in PACKAGES
        and path.name.startswith("test_")
        and path not in mirrors
    ]
    assert not strays, strays


def test_no_python_file_is_longer_than_a_reader_bears() -> None:
    lengths = {str(path): (ROOT / path).read_text().count("\n") for path in FILES if path.suffix == ".py"}
    assert not {path: lines for path, lines in lengths.items() if lines > MOST_LINES}


def test_no_file_names_a_machine_a_registry_or_a_key() -> None:
    # Put together here, so that this file does not hold what it looks for.
    forbidden = [
        "/" + "work/",
        "/" + "root/",
        "/" + "opt/pypi",
        "/" + "opt/wheels",
        "/" + "tmp/lg",
        ".." + "/shared",
        "files." + "pythonhosted",
        "pypi" + ".org",
        "--extra-" + "index-url",
        "--find-" + "links",
        "BEGIN " + "PRIVATE KEY",
        "BEGIN RSA " + "PRIVATE KEY",
    ]
    found = [
        f"{path}: {text}"
        for path in FILES
        for content in [(ROOT / path).read_bytes()]
        for text in forbidden
        if text.encode() in content
    ]
    assert not found, "\n".join(found)


def test_the_pure_packages_name_no_builtin_that_reads_writes_or_runs() -> None:
    """Import rules hold modules; these need none."""
    banned = {"open", "exec", "eval", "compile", "__import__", "input", "print", "breakpoint", "globals"}
    found = [
        f"{path}:{node.lineno}: {node.id}"
        for path in FILES
        if path.suffix == ".py" and any(str(path) == pure or str(path).startswith(pure + "/") for pure in PURE)
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.Name) and node.id in banned
    ]
    assert not found, "\n".join(found)


def test_the_path_of_a_call_uses_nothing_that_needs_a_current_task() -> None:
    """Handlers are stepped by hand, without an asyncio task (`gateway/dataplane/stepping.py`)."""
    banned = {"timeout", "timeout_at", "shield", "wait_for", "current_task", "TaskGroup"}
    found = [
        f"{path}:{node.lineno}: asyncio.{node.attr}"
        for path in FILES
        if path.suffix == ".py" and path.parts[:2] == ("gateway", "dataplane")
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if node.value.id == "asyncio" and node.attr in banned
    ]
    assert not found, "\n".join(found)


def test_nothing_is_left_for_later() -> None:
    # Put together here, so that this file does not hold what it looks for.
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X ", "raise Not" + "ImplementedError\n")
    found = [
        f"{path}: {mark}"
        for path in FILES
        if path.suffix == ".py" and path.parts[0] in PACKAGES
        for mark in marks
        if mark in (ROOT / path).read_text()
    ]
    assert not found, "\n".join(found)
