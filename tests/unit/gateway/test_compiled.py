"""What is compiled is only used with the sources it was made of."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import compiled
from gateway.dataplane.asgi_exchange import AsgiExchange
from guardrails import verdict
from tests.support import gateway as support

PLACES = "import importlib, sys; [print(importlib.import_module(name).__file__) for name in sys.argv[1:]]"


def files_used(**environment: str) -> list[str]:
    """Where a new process finds the modules."""
    names = [name for name in (*compiled.MODULES, *compiled.GUARDRAILS) if "grpc" not in name]
    command = [sys.executable, "-c", PLACES, "gateway", *names]
    found = subprocess.run(
        command, cwd=Path(__file__).parents[3], env={**os.environ, **environment}, capture_output=True, check=True
    )
    return found.stdout.decode().split()[1:]


@pytest.mark.parametrize("module", [*compiled.MODULES, *compiled.GUARDRAILS])
def test_a_compiled_module_defines_no_struct(module: str) -> None:
    """mypyc does not keep the annotations that msgspec makes one of."""
    tree = ast.parse(compiled.source(module).read_text())
    bases = [ast.unparse(base) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for base in node.bases]
    assert not [base for base in bases if base.split(".")[-1] in ("Struct", "Section")], module


@pytest.mark.parametrize("module", [*compiled.MODULES, *compiled.GUARDRAILS])
def test_a_compiled_module_asks_for_no_protocol_at_run_time(module: str) -> None:
    """What mypyc makes of a protocol is none to `isinstance`, and the decorator that asks for it raises."""
    assert "@runtime_checkable" not in compiled.source(module).read_text()


def test_everything_runs_from_source_when_that_is_asked_for() -> None:
    assert all(place.endswith(".py") for place in files_used(LOCKGATE_COMPILED="0"))


@pytest.mark.skipif(not compiled.in_use(), reason="not compiled here (make compiled)")
def test_what_is_compiled_is_used() -> None:
    assert all(place.endswith(".so") for place in files_used())


def test_an_exchange_has_all_its_attributes_from_the_start(tmp_path: Path) -> None:
    """What is declared on a compiled class has no value until it gets one."""
    gateway = support.build(support.config({"far": ["http://a:1"]}), tmp_path)
    gateway.journal.stop()
    exchange = AsgiExchange({"method": "GET", "path": "/", "headers": []}, gateway, 0.0)
    tree = ast.parse(compiled.source("gateway.dataplane.exchange").read_text())
    [declared] = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Exchange"]
    names = [ast.unparse(each.target) for each in declared if isinstance(each, ast.AnnAssign)]
    names += [ast.unparse(each.targets[0]) for each in declared if isinstance(each, ast.Assign)]
    assert len(names) > 15
    assert not [name for name in names if not hasattr(exchange, name)]
    assert exchange.source is None


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with the same modules, compiled as it says."""
    for module in (*compiled.MODULES, *compiled.GUARDRAILS):
        path = tmp_path / (module.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {module}")
    monkeypatch.setattr(compiled, "_ROOT", tmp_path)
    monkeypatch.delenv(compiled.SWITCH, raising=False)
    (tmp_path / "gateway" / compiled.STAMP).write_text(compiled.fingerprint())
    return tmp_path


def test_a_changed_source_puts_all_compiled_modules_out_of_use(package: Path) -> None:
    assert compiled.in_use()
    compiled.source("gateway.wire.body").write_text("# changed")
    assert not compiled.in_use()


def test_what_was_compiled_for_another_python_is_not_used(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.implementation, "cache_tag", "cpython-399")
    assert not compiled.in_use()


def test_without_a_stamp_and_with_the_switch_nothing_compiled_is_used(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(compiled.SWITCH, "0")
    assert not compiled.in_use()
    monkeypatch.delenv(compiled.SWITCH)
    (package / "gateway" / compiled.STAMP).unlink()
    assert not compiled.in_use()


def test_sources_are_found_before_anything_compiled_and_nothing_else_is(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setitem(sys.modules, verdict.__name__, verdict)
    before = len(sys.meta_path)
    compiled.choose()
    assert len(sys.meta_path) == before  # all is fresh, and the guardrails run from source already
    monkeypatch.setenv(compiled.SWITCH, "0")
    compiled.choose()
    finder = sys.meta_path[0]
    spec = finder.find_spec("gateway.wire.body", None)
    assert spec is not None
    assert spec.origin == str(package / "gateway/wire/body.py")
    assert finder.find_spec("gateway.wire", None) is None  # a package
    assert finder.find_spec("json", None) is None


def test_compiled_guardrails_are_found_in_their_folder_unless_their_sources_are_in_use(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    for module in compiled.GUARDRAILS:
        monkeypatch.delitem(sys.modules, module, raising=False)
    compiled.choose()
    finder = sys.meta_path[0]
    for name in ("guardrails.screen", "guardrails__mypyc"):
        spec = finder.find_spec(name, None)
        assert spec is not None
        assert str(spec.origin).startswith(str(package / "gateway/compiled_guardrails" / name.replace(".", "/")))
    assert finder.find_spec("guardrails.checks", None) is None  # a package
    assert finder.find_spec("gateway.wire.body", None) is None


def test_guardrails_without_the_gateway_run_from_source() -> None:
    command = [sys.executable, "-c", PLACES, *compiled.GUARDRAILS]
    found = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, check=True)
    assert all(place.endswith(".py") for place in found.stdout.decode().split())


@pytest.mark.parametrize("module", compiled.MODULES)
def test_a_compiled_module_awaits_nothing_while_it_handles_an_exception(module: str) -> None:
    """What mypyc makes of an `await` in an `except` or `finally` block that is left by an exception crashes."""
    handling = [
        part
        for node in ast.walk(ast.parse(compiled.source(module).read_text()))
        if isinstance(node, ast.Try)
        for part in (*node.handlers, *node.finalbody)
    ]
    waits = [node.lineno for part in handling for node in ast.walk(part) if isinstance(node, ast.Await | ast.Yield)]
    assert not waits, f"{module}, lines {waits}"
