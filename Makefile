# Targets are listed by `make`; recipes over four lines live in scripts.
SHELL := /bin/bash
BIN := .venv/bin
LOCK = .lock/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --quiet
PYTEST = $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
export PYTHONDONTWRITEBYTECODE := # images set it; then each of a demo's processes compiles bft anew

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: .venv/.done  ## .venv from the hash-locked requirements

.venv/.done: requirements/dev.txt requirements/uv.txt pyproject.toml
	@command -v python3.11 >/dev/null || { echo "bft needs Python 3.11 (python3.11 on the PATH); install it, then run make again" >&2; exit 78; }
	@echo "setup, once: .venv (7 GB) from the hash-locked requirements, first uv; some minutes in all, as fast as the network"
	@test -x $(BIN)/pip || python3.11 -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@echo "setup: fetches about 200 packages, then compiles them, about a minute; nothing more is said unless it fails"
	@$(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode requirements/dev.txt
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/uv pip check --quiet && touch $@

demo: setup  ## a night on the shipped vendor simulator; after setup about a minute, two at most
	@bash workflows/demo.sh

test: setup  ## unit, contract, integration tests; no network, cluster, GPU or keys
	$(PYTEST)

check: setup  ## what CI runs: lint, types, import contracts, freshness, tests
	@$(MAKE) --no-print-directory -j2 lint test

lint: setup  ## of these all but the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	$(BIN)/python -m workflows --check

bench: setup  ## every script of bench/; each prints its ratio or figure last
	@for script in bench/*.py; do echo "== $$script"; PYTHONPATH=tests $(BIN)/python $$script || exit 1; done

soak: setup  ## 10,000 seeded days of faults, then thousands of odd requests: hours
	PYTHONPATH=tests $(BIN)/python bench/faults.py --seeds 10000
	@for script in bench/soak/*.py; do echo "== $$script"; PYTHONPATH=tests $(BIN)/python $$script || exit 1; done

docs: setup  ## rewrite the generated files
	$(BIN)/python docs/generate.py

workflows: setup  ## re-render workflows/rendered; read the diff
	$(BIN)/python -m workflows

fmt: setup  ## format and safe fixes
	$(BIN)/ruff check --fix --quiet .; found=$$?; $(BIN)/ruff format . && exit $$found

clean:  ## remove what was built
	rm -rf .venv .lock demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache bft.egg-info

.lock/bin/uv: requirements/uv.txt
	python3.11 -m venv .lock
	.lock/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $< && touch $@

lock: .lock/bin/uv  ## recompile the locks, by a uv of its own
	$(LOCK) --extra train --extra dev -o requirements/dev.txt
	$(LOCK) --extra train -o requirements/train.txt
	$(LOCK) -o requirements/base.txt
	grep -A99 '^uv==' requirements/dev.txt | awk 'NR>1 && !/^ /{exit} !/ #/{print}' > requirements/uv.txt

.PHONY: help setup demo bench soak test check lint docs workflows fmt clean lock
