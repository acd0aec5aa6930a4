# The commands of the project. Needs: Python 3.11 or newer with venv, make, curl. Nothing here needs root but `system-deps`.

PYTHON ?= python3
# The one switch for a slow test: LOCKGATE_TEST_VLLM=0 skips real vLLM on the CPU (2.5 GB, in a cache outside the checkout).
PYTEST_ARGS ?=

BIN := .venv/bin
LOCKS := deploy/locks
PREVIOUS := .venv-openai-previous
PROVIDERS := .venv-providers
PHOENIX := .venv-phoenix
AGENTS := .venv-agents
# Wheels only: building an sdist would fetch its build tools unpinned.
PIP := -m pip --disable-pip-version-check --no-input
LOCKED := install --quiet --require-hashes --only-binary :all:

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup compiled setup-previous setup-providers setup-agents setup-phoenix serve test check chaos bench fix lock schema wheel system-deps hooks clean

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 22

## --- the environment ------------------------------------------------------------------------------------------------

setup: .venv/installed ## .venv, exactly as the locks say

.venv/locked: $(LOCKS)/dev.txt $(LOCKS)/embedded-nodeps.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Lockgate needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python $(PIP) $(LOCKED) -r $(LOCKS)/dev.txt
	$(BIN)/python $(PIP) $(LOCKED) --no-deps -r $(LOCKS)/embedded-nodeps.txt
	@touch $@

.venv/installed: .venv/locked pyproject.toml
	$(BIN)/python $(PIP) install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $@

# The request's path, typed as it is, as C: a quarter cheaper. Where no compiler is, it runs from source.
compiled: setup ## compile the request's path in place, if it has changed
	@$(BIN)/python deploy/compile.py

setup-previous: $(PREVIOUS)/locked

$(PREVIOUS)/locked: $(LOCKS)/openai-previous.txt
	$(PYTHON) -m venv $(PREVIOUS)
	$(PREVIOUS)/bin/python $(PIP) $(LOCKED) -r $(LOCKS)/openai-previous.txt
	@touch $@

setup-providers: $(PROVIDERS)/locked

$(PROVIDERS)/locked: $(LOCKS)/providers.txt
	$(PYTHON) -m venv $(PROVIDERS)
	$(PROVIDERS)/bin/python $(PIP) $(LOCKED) -r $(LOCKS)/providers.txt
	@touch $@

setup-agents: $(AGENTS)/locked

$(AGENTS)/locked: tests/support/locks/agents.txt
	$(PYTHON) -m venv $(AGENTS)
	$(AGENTS)/bin/python $(PIP) $(LOCKED) -r $<
	@touch $@

setup-phoenix: $(PHOENIX)/locked ## a receiver of spans for the tests (855 MB; skipped without it)

# Without --no-deps pip looks for newer versions of what others want with extras, which the lock does not name.
$(PHOENIX)/locked: tests/support/locks/phoenix.txt
	$(PYTHON) -m venv $(PHOENIX)
	$(PHOENIX)/bin/python $(PIP) $(LOCKED) --no-deps -r $<
	@touch $@

system-deps: ## Debian packages that some tests and the bench use (root)
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends nginx gcc libc6-dev \
		redis-server postgresql libfaketime

## --- use ------------------------------------------------------------------------------------------------------------

serve: compiled ## the demo on 127.0.0.1:8080
	$(BIN)/lockgate demo --port 8080

## --- work -----------------------------------------------------------------------------------------------------------

test: compiled setup-previous setup-providers setup-agents ## every test this machine can run; skipped ones are listed with their reasons
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: setup ## format, lint, types, import rules, docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_layout.py tests/test_docs.py

fix: setup ## format, and repair what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

chaos: compiled ## meters under load while workers, authority, clock and disk fail (about six minutes; clock and disk need root)
	$(BIN)/python -m tests.chaos

bench: compiled ## the numbers of the README; let nothing else run beside it
	$(BIN)/python -m tests.bench

schema: setup ## configs/schema.json from the configuration's types
	$(BIN)/python -m gateway.config.schema > configs/schema.json.new
	mv configs/schema.json.new configs/schema.json

wheel: setup ## dist/lockgate-*.whl
	$(BIN)/hatchling build -t wheel

hooks: setup ## run the quick checks before each commit
	$(BIN)/pre-commit install

# Keeps the versions that are pinned; `make lock UPGRADE=--upgrade` takes the newest. All locks agree with dev.txt.
UV_COMPILE = $(BIN)/uv pip compile --quiet --no-config --generate-hashes --python-version 3.11 --no-emit-index-url \
	--custom-compile-command "make lock" $(UPGRADE)
lock: ## the locks of deploy/locks again, with hashes (needs the package index)
	test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(BIN)/python $(PIP) $(LOCKED) -r $(LOCKS)/dev.txt; }
	$(UV_COMPILE) pyproject.toml $(LOCKS)/dev.in -o $(LOCKS)/dev.txt
	$(UV_COMPILE) pyproject.toml -c $(LOCKS)/dev.txt -o $(LOCKS)/runtime.txt
	$(UV_COMPILE) pyproject.toml $(LOCKS)/embedded.in -c $(LOCKS)/dev.txt -o $(LOCKS)/embedded.txt
	$(UV_COMPILE) --no-deps $(LOCKS)/embedded-nodeps.in -o $(LOCKS)/embedded-nodeps.txt
	$(UV_COMPILE) $(LOCKS)/build.in -c $(LOCKS)/dev.txt -o $(LOCKS)/build.txt
	$(UV_COMPILE) pyproject.toml --extra classic --extra control --extra grpc --extra redis --extra postgresql --extra schema --extra otel --extra content -c $(LOCKS)/dev.txt -o $(LOCKS)/classic.txt
	$(UV_COMPILE) pyproject.toml --extra providers -c $(LOCKS)/runtime.txt -o $(LOCKS)/providers.txt
	$(UV_COMPILE) pyproject.toml $(LOCKS)/openai-previous.in -o $(LOCKS)/openai-previous.txt

clean: ## everything that was built here
	rm -rf .venv $(PREVIOUS) $(PROVIDERS) $(PHOENIX) $(AGENTS) dist build state .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache tests/bench/build
	$(PYTHON) -B deploy/compile.py --clean
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
