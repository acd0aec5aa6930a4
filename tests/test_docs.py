"""What the READMEs say, against the code: nothing that can drift is believed. Quick: starts no process.

The tour of the root README is run by `test_tour.py`; the settings of `configs/README.md` are compared where their
tables are made (tests/unit/gateway/config/test_schema.py).
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from gateway import errors
from gateway.backends import fake, serving
from gateway.backends.base import DIALECTS, build
from gateway.cli import admin_client
from gateway.cli import main as lockgate
from gateway.config.load import VARIABLES
from gateway.control import routes as administration
from gateway.control.gates import gated
from gateway.dataplane import meta, routes
from gateway.policy import health
from gateway.runtime import ops
from gateway.store import span_rows
from gateway.store.derive import Line
from gateway.store.record_rows import COLUMNS, SCHEMA
from gateway.store.retention import DEFAULT_BYTES
from gateway.telemetry import names
from gateway.wire import denied, trace
from gateway.wire.infer import paths as infer_paths
from gateway.wire.infer import request as infer
from gateway.wire.messages import to_chat as messages_to_chat
from gateway.wire.otlp import sent
from tests.bench.table import place

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("gateway", "guardrails", "prompts", "evals", "configs", "deploy", "tests")
OURS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / folder / "README.md" for folder in FOLDERS)]
MARKDOWN = [*OURS, ROOT / "tests" / "bench" / "README.md", ROOT / "tests" / "support" / "samples" / "README.md"]
README = (ROOT / "README.md").read_text()
REFERENCE = (ROOT / "gateway" / "README.md").read_text()
EVERY_FILE = pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(ROOT)))


# -- reading Markdown


def _section(text: str, title: str) -> str:
    """What stands under a heading, up to the next one of its rank."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {title!r}"
    return found[1]


def _rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of each table, without the heads."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        is_head = number + 1 < len(lines) and lines[number + 1].startswith("|--")
        if line.startswith("| ") and not is_head:
            yield [cell.strip() for cell in line.strip("|").split(" |")]


def _quoted(text: str) -> set[str]:
    """What stands between backticks."""
    return set(re.findall(r"`([^`]+)`", text))


def _fenced(text: str) -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def _anchors(path: Path) -> set[str]:
    """The anchors of a file's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# -- the files themselves


def test_every_folder_has_a_readme() -> None:
    assert [path for path in OURS if not path.is_file()] == []
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    assert {name for name in folders if name[0] != "." and (ROOT / name / "__init__.py").exists()} <= set(FOLDERS)


@EVERY_FILE
def test_every_link_leads_somewhere(path: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        made_later = found == ROOT / "tests" / "bench" / "results" / "latest.json"  # by `make bench`
        if not (found.exists() or made_later) or (anchor and anchor not in _anchors(found)):
            broken.append(target)
    assert broken == []


@EVERY_FILE
def test_no_line_names_a_place_of_the_machine_it_was_written_on(path: Path) -> None:
    assert re.findall(r"(?<![\w.:}])/(?:home|root|work|tmp|Users|mnt|opt)/\S*", path.read_text()) == []


@EVERY_FILE
def test_every_make_target_named_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = path.read_text()
    named = set(re.findall(r"`make ([a-z-]+)", text)) | set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE))
    assert named <= targets


@EVERY_FILE
def test_every_variable_named_is_read_somewhere(path: Path) -> None:
    known = {*VARIABLES.values(), "LOCKGATE_CONFIG", admin_client.URL_VARIABLE, admin_client.TOKEN_VARIABLE}
    known |= {name for file in (ROOT / "tests").rglob("*.py") for name in re.findall(r"LOCKGATE_\w+", file.read_text())}
    assert set(re.findall(r"\bLOCKGATE_\w+", path.read_text())) <= known


@EVERY_FILE
def test_every_package_named_with_its_version_is_the_locked_one(path: Path) -> None:
    locks = "\n".join(lock.read_text() for lock in (ROOT / "deploy" / "locks").glob("*.txt"))
    pinned = set(re.findall(r"^([a-z0-9-]+==\S+)", locks, re.MULTILINE))
    assert set(re.findall(r"\b([a-z0-9-]+==[\w.]+)", path.read_text())) <= pinned


def test_the_changelog_has_an_unreleased_section_of_the_known_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[0] == "[Unreleased]"
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= {
        *("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
    }


# -- the root README


def test_the_readme_begins_with_the_two_commands() -> None:
    lines = [line.split("#")[0].strip() for line in _fenced(README)[0].splitlines()]
    assert lines == ["make serve", "make test"]


def test_the_readme_keeps_a_place_for_the_results_of_the_bench() -> None:
    for path in (ROOT / "README.md", ROOT / "tests" / "bench" / "README.md"):
        assert "| a table |" in place(path.read_text(), "| a table |")


def test_the_steps_of_a_request_name_the_statuses_that_refuse_it() -> None:
    told = set(map(int, re.findall(r"\b[45]\d\d\b", _section(README, "What happens to a request"))))
    raised = {kind.status for kind in _errors() if kind not in (errors.Internal, errors.MethodNotAllowed)}
    assert told == raised


def test_the_size_of_the_journals_is_the_one_told() -> None:
    assert f"up to {DEFAULT_BYTES // 2**30} GiB" in _section(README, "What it does not do yet")


# -- commands


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Every command by its full name; a group is one too where it has options of its own."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        if command.params:
            yield name, command
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from _commands(found, f"{name} {below}")
    else:
        yield name, command


def _options(name: str, command: click.Command) -> set[str]:
    if name == "lockgate fake":  # one list of options for it and for the server it runs
        parser = argparse.ArgumentParser(add_help=False)
        serving.add_address_options(parser)
        fake.add_options(parser)
        return {option for action in parser._actions for option in action.option_strings}
    return {option for each in command.params if isinstance(each, click.Option) for option in each.opts} - {"--help"}


COMMANDS = {name: _options(name, command) for name, command in _commands(lockgate, "lockgate")}


def test_every_command_and_option_is_told_and_no_other() -> None:
    text = _section(REFERENCE, "Commands")
    told = {
        re.sub(r"( [A-Z]+)+$", "", cells[0].strip("`")): set(re.findall(r"`(--[a-z-]+)", cells[2]))
        for cells in _rows(text)
    }
    of_all = set(
        re.findall(r"--[a-z-]+", text[text.index("each of these also takes") : text.index("| options besides |")])
    )
    administered = {name for name, options in COMMANDS.items() if "--url" in options}
    assert {name: options | (of_all if name in administered else set()) for name, options in told.items()} == COMMANDS


@EVERY_FILE
def test_every_command_shown_exists_with_its_options(path: Path) -> None:
    text = path.read_text()
    shown = [line for block in _fenced(text) for line in block.splitlines()] + list(_quoted(text))
    for line in shown:
        found = re.search(r"(?<![\w.-])lockgate((?: [a-z]+)*)(?=\s|$)(.*)", line)
        if found is None:
            continue
        words, options = found[1].split(), set(re.findall(r"--[a-z-]+", found[2].split("#")[0])) - {"--help"}
        names = [" ".join(("lockgate", *words[:count])) for count in range(len(words), 0, -1)]  # then arguments
        name = next((each for each in names if each in COMMANDS), "lockgate" + found[1])
        groups = {" ".join(each.split()[:depth]) for each in COMMANDS for depth in (1, 2)}
        assert name in COMMANDS or name in groups, f"no such command: {line}"
        assert options <= COMMANDS.get(name, set()), f"no such option: {line}"


# -- the reference


def _errors(base: type[errors.GatewayError] = errors.GatewayError) -> list[type[errors.GatewayError]]:
    """The classes that are raised: those nothing inherits from, in the order of the file."""
    below = [kind for kind in base.__subclasses__() if kind.__module__ == errors.__name__]
    return [kind for each in below for kind in _errors(each)] if below else [base]


def test_every_error_is_told_with_its_status_type_code_and_whether_to_retry() -> None:
    told = {cells[0]: cells[1:5] for cells in _rows(_section(REFERENCE, "Errors"))}
    assert told == {
        kind.__name__: [
            "as sent" if kind is errors.UpstreamRejected else str(kind.status),
            f"`{kind.type}`",
            f"`{kind.code}`",
            "yes" if kind.retryable else "no",
        ]
        for kind in _errors()
    }
    assert all(cells[5] for cells in _rows(_section(REFERENCE, "Errors")))


def test_every_metric_is_told_as_its_table_says() -> None:
    assert names.table() in _section(REFERENCE, "Metrics")
    assert len(list(_rows(_section(REFERENCE, "Metrics")))) == len(names.ALL)


def test_every_column_of_records_is_told_with_its_type() -> None:
    told = [[cell.strip("`") for cell in cells] for cells in _rows(_section(REFERENCE, "Columns of records"))]
    assert told == [[one.name, one.kind.format("BIGINT"), one.meaning.strip("`")] for one in COLUMNS]
    assert f"Version {SCHEMA} of the schema" in _section(REFERENCE, "Columns of records")


def test_every_column_of_agents_spans_is_told_with_its_type() -> None:
    section = _section(REFERENCE, "Agents' spans")
    told = [[cell.strip("`") for cell in cells] for cells in _rows(section)]
    assert told == [[one.name, one.kind, one.meaning.strip("`")] for one in span_rows.COLUMNS]
    assert f"Version {span_rows.SCHEMA} of the schema" in section
    for limit in (f"{sent.MAX_BYTES >> 20} MiB (unfolded)", f"{sent.MAX_SPANS:,} spans", f"{sent.MAX_DEPTH} levels"):
        assert limit in section


def test_every_refused_field_is_told_with_its_reason() -> None:
    told = {cells[0].strip("`"): cells[1] for cells in _rows(_section(REFERENCE, "Fields that are refused"))}
    arguments = {f"chat_template_kwargs.{name}" for name in denied.TEMPLATE_ARGUMENTS}
    assert {name: why for name, why in told.items() if name not in arguments} == denied.REASONS
    assert arguments <= set(told)
    parameters = {cells[0].strip("`"): cells[1] for cells in _rows(_section(REFERENCE, "Classic models"))}
    assert parameters == infer.REFUSED
    assert {dialect.refuse for dialect in DIALECTS.values()} == {denied.refuse}  # so "these do not" holds for all


def test_every_field_that_is_not_translated_is_told() -> None:
    left_out, refused = [
        _quoted(cells[0])
        for cells in _rows(_section(REFERENCE, "Anthropic's messages"))
        if re.match("left out: hints|refused$", cells[1])
    ][-2:]
    assert left_out == messages_to_chat.LEFT_OUT
    assert refused == messages_to_chat.REFUSED


def test_every_path_of_both_listeners_is_told() -> None:
    told: dict[str, set[str]] = {"data": set(), "ops": set()}
    for listener, path, _ in _rows(_section(REFERENCE, "Paths")):
        told[listener].add(path.strip("`"))
    data = {f"{method.decode()} {path.decode()}" for path, (method, *_) in routes.HANDLERS.items()}
    data |= {f"GET {path.decode()}" for path in routes.PROBES} | {f"GET {meta.PREFIX.decode()}{{id}}"}
    classic = f"{infer_paths.PREFIX.decode()}{{m}}[/versions/{{v}}]"
    data |= {f"POST {classic}/infer", f"GET {classic}", f"GET {classic}/ready"}
    assert told == {"data": data, "ops": {f"GET {path}" for path in asyncio.run(_ops_paths())}}


def test_every_route_of_the_administration_is_told_with_its_role() -> None:
    told = {
        tuple(route.split()): cells[2].split()[0]
        for cells in _rows(_section(REFERENCE, "Administration"))
        for route in re.findall(r"`([A-Z]+ [^`]+)`", cells[0])
    }
    nobody: Any = None
    found = {}
    for method, path, needs in gated(administration.routers(nobody)):
        role = "any" if needs.scope == "none" else needs.role
        found[method, path.removeprefix("/admin").replace(":path}", "}")] = role
    assert told == found


async def _ops_paths() -> list[str]:
    """The ops listener lists its paths to whoever asks for another."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    nobody: Any = None
    await ops.app(nobody)({"type": "http", "path": "/", "method": "GET", "headers": []}, receive, send)
    paths: list[str] = json.loads(sent[-1]["body"])["paths"]
    return paths


def test_every_header_of_our_own_making_is_told() -> None:
    text = _section(REFERENCE, "Headers")
    told = _quoted(text)
    assert "at most 128 printable characters" in text
    assert (trace.caller_id(b"x" * 128), trace.caller_id(b"x" * 129)) == ("x" * 128, "")
    package = ROOT / "gateway"
    used = set()
    for path in [*package.glob("dataplane/*.py"), *package.glob("policy/*.py"), package / "wire" / "errors.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                value = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
                name = r"(x-[a-z-]+|retry-after|www-authenticate|allow|traceparent|authorization)"
                found = re.fullmatch(name + r"(: .*)?", value)  # alone, or as the beginning of a line
                if found:
                    used.add(found[1])
    assert used <= told
    assert {name for name in told if name.startswith("x-")} <= used


def test_the_headers_a_backend_gets_are_the_ones_told() -> None:
    backend = build("b", "vllm", ["http://h:1"], "key", connect_s=1.0, retry_share=0.2)
    (endpoint,) = backend.endpoints
    head = endpoint.head(b"/v1/x", "req_1", "00-" + "1" * 32 + "-" + "1" * 16 + "-01", b"application/json", 1).decode()
    sent = {line.partition(":")[0] for line in head.splitlines()[1:] if line}
    told = re.search(r"^What a backend gets: (.*?)\n\n", _section(REFERENCE, "Headers"), re.MULTILINE | re.DOTALL)
    assert told is not None
    assert _quoted(told[1]) == sent


def test_the_outcomes_told_are_ones_that_are_written() -> None:
    told = re.search(r"`outcome` is one of (.*?)\.\n", _section(REFERENCE, "Records"))
    assert told is not None
    written = {
        node.value
        for path in (ROOT / "gateway").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert _quoted(told[1]) <= written


def test_every_field_of_the_access_log_is_told() -> None:
    listed = re.search(r"as far as they are known:\n(.*?)\.\n", _section(REFERENCE, "Logs"), re.DOTALL)
    assert listed is not None
    assert _quoted(listed[1]) == set(Line.__struct_fields__)


def test_every_failure_names_tests_that_exist() -> None:
    for failure, _, proofs in _rows(_section(REFERENCE, "When something fails")):
        links = re.findall(r"\[(test_\w+)\]\(([^)]+)\)", proofs)
        assert links, failure
        for test, file in links:
            assert f"def {test}(" in (ROOT / "gateway" / file).read_text(), f"{file} has no {test}"


def test_the_circuit_breakers_numbers_are_the_ones_told() -> None:
    rules = health.Rules()
    window = f"half of at least {rules.window_least} within {rules.window_s:g} s"
    assert rules.window_share == 0.5
    assert f"({rules.failures_in_a_row} times in a row, or {window})" in REFERENCE
    assert f"for {rules.cooldown_s:g} s, doubling up to {rules.cooldown_most_s:g} s" in REFERENCE
    assert rules.cooldown_growth == 2
