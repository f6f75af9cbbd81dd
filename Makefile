# make demo   trains on the built-in smileys and leaves runs/demo/report.html
# make test   runs the tests
# Both set up .venv by themselves, with the tested versions of constraints.txt.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: setup demo test test-slow lint format kernel bench clean

setup: $(VENV)/.dev

$(VENV)/.core: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ganlet needs Python 3.11 or newer; try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(PIP_INSTALL) --editable '.[dev]'
	@touch $@

demo: $(VENV)/.core
	@if [ -f runs/demo/config.yaml ]; then $(BIN)/ganlet resume runs/demo; \
	else $(BIN)/ganlet train --preset quick --out runs/demo; fi

test: $(VENV)/.dev
	$(BIN)/pytest

test-slow: $(VENV)/.dev
	$(BIN)/pytest -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The page's products of matrices; wat2wasm is part of wabt.
kernel: src/ganlet/export/web/kernel.wasm
src/ganlet/export/web/kernel.wasm: src/ganlet/export/web/kernel.wat
	wat2wasm $< -o $@

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/step_speed.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
