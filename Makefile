# Bluetick. `make demo` and `make test` set up all they need; the rest is below.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && { echo $$p; break; }; done)
BIN := $(VENV)/bin
# Our own packages, in the order of their dependencies; installed as links to this checkout.
PACKAGES := libs/contracts libs/client libs/runtime libs/catalogue libs/embedded libs/testkit libs/simulator \
	libs/bench services/ingest services/status services/analytics services/gateway libs/cli
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Dozens of processes are started; each would compile our code anew.
export PYTHONDONTWRITEBYTECODE :=
# buf keeps its cache at home otherwise, where not everybody may write.
export BUF_CACHE_DIR := $(CURDIR)/.buf_cache
# A worker a core and one more, since tests wait for faults to heal; each has a broker and a database.
SIDE_BY_SIDE := --numprocesses $(shell expr $$(nproc 2>/dev/null || echo 2) + 1) --maxprocesses 5
CODE := libs services tests tools examples

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: install ## A campaign of 12,000 messages, from signed callbacks to the printed report
	@$(BIN)/bluetick demo

test: install-dev lint ## Everything that must hold, in some minutes
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) --durations 15 --durations-min 5

install: $(VENV)/.installed ## What it takes to run Bluetick, into .venv
install-dev: $(VENV)/.installed-dev ## The same, with what it takes to work on it

$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed (PYTHON=... names it)."; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

define link_packages
	@$(PIP) install --no-deps --no-build-isolation $(foreach package,$(PACKAGES),--editable $(package))
	@touch $@
endef

$(VENV)/.installed: $(VENV)/.python requirements/local.txt $(addsuffix /pyproject.toml,$(PACKAGES))
	@echo "Installing packages (a minute, once)"
	@$(PIP) install --require-hashes --requirement requirements/local.txt
	$(link_packages)

$(VENV)/.installed-dev: $(VENV)/.python requirements/dev.txt $(addsuffix /pyproject.toml,$(PACKAGES))
	@echo "Installing packages for development (a minute or two, once)"
	@$(PIP) install --require-hashes --requirement requirements/dev.txt
	$(link_packages)
	@touch $(VENV)/.installed

lint: install-dev ## Style, types, imports between packages, protos
	@$(BIN)/ruff check --quiet $(CODE)
	@$(BIN)/ruff format --check --quiet $(CODE)
	@$(BIN)/mypy --no-error-summary libs services
	@$(BIN)/lint-imports --no-logo >/dev/null || $(BIN)/lint-imports --no-logo
	@$(BIN)/buf lint protos
	@$(BIN)/buf breaking protos --against protos/released.binpb

format: install-dev ## Put the code into its form
	@$(BIN)/ruff check --fix --quiet $(CODE)
	@$(BIN)/ruff format --quiet $(CODE)

test-long: install-dev ## Kills and fuzzing for minutes
	@$(BIN)/python -m pytest -m long --timeout 1200

test-packaging: install-dev ## Build each package and import it alone in a fresh environment
	@$(BIN)/python -m pytest -m packaging --timeout 1200

bench: install ## The benchmark, with its table (two minutes)
	@$(BIN)/bluetick bench --quick

up: install ## Everything on this machine, until Ctrl-C
	@$(BIN)/bluetick up

protos: install-dev ## Generate libs/contracts from protos/
	@tools/generate_contracts.sh

docs: install-dev ## Write the pages that are made from code
	@$(BIN)/python tools/write_settings.py
	@$(BIN)/python tools/write_failures.py
	@$(BIN)/python tools/write_fields.py
	@$(BIN)/python -m services.analytics.write_metrics_page docs/metrics.md

locks: install-dev ## Make all locked requirement files anew
	@tools/lock.sh

clean: ## Remove what was set up
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .buf_cache

.PHONY: help demo test install install-dev lint format test-long test-packaging bench up protos docs locks clean
