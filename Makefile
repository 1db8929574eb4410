# The project's commands; `make help` lists them. They share .venv, made with uv where it is found, else with venv and pip.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PEERS := .venv-bench
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

ifdef UV
  make_venv = $(UV) venv --quiet --allow-existing --python $(PYTHON) $(1)
  install = VIRTUAL_ENV=$(1) $(UV) pip install --quiet --require-hashes $(3) -r $(2)
else
  make_venv = $(PYTHON) -m venv $(1)
  install = $(1)/bin/pip install --quiet --require-hashes -r $(2)
endif
# Bytecode at once, as pip does it: of what serves for a quick first start, of all for tests and benchmarks, which start many processes.
BYTECODE := --compile-bytecode

.DEFAULT_GOAL := help
.PHONY: help run train test lint format bench bench-quick bench-page bench-forecast soak lock clean chromium prometheus wrk screenshot notebook

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# requirements-dev.txt holds all of requirements.txt at the same versions: where it is installed, make run needs nothing more.
$(VENV)/requirements: requirements.txt requirements-serve.txt
	@echo "Installing what serving and training need into $(VENV) (2.4 GB; once) ..."
	@$(call make_venv,$(VENV)) && $(call install,$(VENV),requirements-serve.txt,$(BYTECODE)) && $(call install,$(VENV),requirements.txt) && touch $@

$(VENV)/requirements-dev: requirements-dev.txt
	@echo "Installing what the tests need into $(VENV) (2.7 GB; once) ..."
	@$(call make_venv,$(VENV)) && $(call install,$(VENV),requirements-dev.txt,$(BYTECODE)) && touch $@ $(VENV)/requirements

# What the benchmark holds the service against has an environment of its own.
$(PEERS)/requirements: benchmarks/requirements-peers.txt
	@echo "Installing BentoML and LitServe into $(PEERS) (0.2 GB; once) ..."
	@$(call make_venv,$(PEERS)) && $(call install,$(PEERS),$<,$(BYTECODE)) && touch $@

run: $(VENV)/requirements  ## install what is needed, then serve http://127.0.0.1:8010 (MLflow UI on 8020)
	@exec $(BIN)/python app.py

train: $(VENV)/requirements  ## train on MSFT, log to MLflow, publish to modelFiles/
	@$(BIN)/python modelTrain.py

test: $(VENV)/requirements-dev lint  ## lint, types and all tests
	@$(BIN)/python -m pytest

lint: $(VENV)/requirements-dev  ## ruff, mypy, and the direction of imports
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/tach check

format: $(VENV)/requirements-dev  ## put the code into its format
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench-forecast: $(VENV)/requirements-dev  ## judge the forecasts on 20 stocks, beside GARCH (15 to 25 minutes)
	@$(BIN)/python benchmarks/benchForecast.py

bench: $(VENV)/requirements-dev $(PEERS)/requirements wrk  ## measure serving, beside its peers, and training (under 15 minutes)
	@$(BIN)/python benchmarks/benchServing.py

bench-quick: $(VENV)/requirements-dev $(PEERS)/requirements wrk  ## the same in short, written nowhere (under 2 minutes)
	@$(BIN)/python benchmarks/benchServing.py --quick

bench-page: $(VENV)/requirements-dev chromium  ## measure the page's weight and the time to its first chart (half a minute)
	@$(BIN)/python benchmarks/benchPage.py

soak: $(VENV)/requirements-dev  ## half an hour of mixed good and bad load: does anything fail or grow?
	@$(BIN)/python benchmarks/soak.py

notebook: $(VENV)/requirements-dev  ## run the notebook anew
	@TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False jupyter/forecast.ipynb

screenshot: $(VENV)/requirements-dev chromium  ## make the README's picture anew
	@$(BIN)/python tests/e2e/makeScreenshot.py

chromium:  ## install Debian's Chromium for the browser tests (needs root)
	@command -v chromium >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; }

prometheus:  ## install Debian's Prometheus with promtool, for the tests of deploy/monitoring (needs root)
	@command -v prometheus >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus; }

wrk:  ## install Debian's wrk, the load of the benchmarks (needs root)
	@command -v wrk >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wrk; } || \
	{ echo "error: wrk is missing and could not be installed; as root: apt-get install wrk" >&2; exit 1; }

lock: $(VENV)/requirements-dev  ## pin pyproject.toml's dependencies anew: serving within full within development
	@compile="$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml"; \
	$$compile --extra train --group dev -o requirements-dev.txt && \
	$$compile --extra train -c requirements-dev.txt -o requirements.txt && \
	$$compile -c requirements.txt -o requirements-serve.txt && \
	$${compile/pyproject.toml/benchmarks/requirements-peers.in} -c requirements-serve.txt -o benchmarks/requirements-peers.txt

clean:  ## remove the environment and all that was made by running
	@rm -rf $(VENV) $(PEERS) mlruns data/cache .pytest_cache .mypy_cache .ruff_cache .hypothesis log_predictions.csv*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
