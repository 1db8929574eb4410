# The project's commands; `make help` lists them. All use .venv, which is created with uv if it is installed, otherwise with venv and pip.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PEERS := .venv-bench
FORECAST_PEERS := .venv-forecast-peers
CLUSTER := .venv-cluster
BIN := $(VENV)/bin
MKDOCS := NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs
UV := $(shell command -v uv 2>/dev/null)

# A Python that does not fit is named before anything is created. Both ways of installing show their progress, without a terminal as lines.
no_python = echo "error: $(PYTHON) is not installed; install Python 3.11 to 3.13 and run, for example, make run PYTHON=python3.12" >&2; exit 1
check_python = { command -v $(PYTHON) >/dev/null || { $(no_python); }; } && $(PYTHON) -c 'import preflight; preflight.check_version()'
ifdef UV
  make_venv = $(UV) venv --quiet --allow-existing --python $(PYTHON) $(1)
  uv_install = VIRTUAL_ENV=$(1) $(UV) pip install --require-hashes $(3) -r $(2)
  install = set -o pipefail && if test -t 2; then $(uv_install); else $(uv_install) 2>&1 | awk '!/^ [+~-] / {print; fflush()}'; fi
else
  make_venv = { $(PYTHON) -m venv $(1) || { rm -rf $(1); exit 1; }; }
  count = awk -v total="$$(grep -c '^[a-z].*==' $(1))" \
	'/^Collecting/ {printf "  %d of at most %d: %s\n", ++n, total, $$2} /^Installing/ {print "  Installing them ..."} {fflush()}'
  install = set -o pipefail && $(1)/bin/pip install --require-hashes -r $(2) | $(call count,$(2))
endif
# uv compiles bytecode only on request. Serving needs it for a fast first start; tests and benchmarks start many processes.
BYTECODE := --compile-bytecode

# Installs Debian packages unless a command is there: $(call apt,COMMAND,PACKAGES).
apt = command -v $(1) >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2); }

# Many tests wait, for locks, time-outs and pages, so two workers more than two cores.
PARALLEL := --numprocesses=4 --no-loadscope-reorder

# The tests start hundreds of processes, which would compile the project each if Python may not write bytecode.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest $(PARALLEL)

.DEFAULT_GOAL := help
# What `make up` starts; .env has its settings, see deploy/compose.env. The images are labelled with the version and the commit.
COMPOSE ?= docker compose
PROFILES := --profile trainer --profile tls --profile monitoring --profile dask
up down logs: export VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
up down logs: export COMMIT = $(shell git rev-parse HEAD 2>/dev/null || echo unknown)

.PHONY: docs docs-serve diagrams pages up down logs help run train test test-fast coverage lint lint-js format bench bench-quick bench-page bench-worker bench-forecast bench-bulk bench-scale soak fuzz texts lock clean node chromium firefox prometheus memcached proxies cluster postgresql java spark wrk screenshot notebook

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# requirements-dev.txt contains all of requirements.txt at the same versions, so `make run` needs nothing more after it.
$(VENV)/requirements: requirements.txt requirements-serve.txt
	@$(check_python) && echo "Installing the dependencies of serving and training into $(VENV) (2.4 GB; once) ..."
	@$(call make_venv,$(VENV)) && $(call install,$(VENV),requirements-serve.txt,$(BYTECODE)) && $(call install,$(VENV),requirements.txt) && touch $@

$(VENV)/requirements-dev: requirements-dev.txt
	@$(check_python) && echo "Installing the development dependencies into $(VENV) (2.7 GB; once) ..."
	@$(call make_venv,$(VENV)) && $(call install,$(VENV),requirements-dev.txt,$(BYTECODE)) && touch $@ $(VENV)/requirements

# The servers that the benchmark compares with have their own environment.
$(PEERS)/requirements: benchmarks/requirements-peers.txt
	@echo "Installing BentoML and LitServe into $(PEERS) (0.2 GB; once) ..."
	@$(call make_venv,$(PEERS)) && $(call install,$(PEERS),$<,$(BYTECODE)) && touch $@

# The forecast libraries that make bench-forecast compares with: their versions conflict with those of the service.
$(FORECAST_PEERS)/requirements: benchmarks/requirements-forecast-peers.txt
	@echo "Installing statsforecast, darts and MAPIE into $(FORECAST_PEERS) (0.9 GB; once) ..."
	@$(call make_venv,$(FORECAST_PEERS)) && $(call install,$(FORECAST_PEERS),$<,$(BYTECODE)) && touch $@

# MLflow with PostgreSQL and S3 has its own environment: boto3 needs an older python-dateutil.
$(CLUSTER)/requirements: deploy/requirements-cluster.txt
	@echo "Installing MLflow with PostgreSQL and S3 into $(CLUSTER) (1.2 GB; once) ..."
	@$(call make_venv,$(CLUSTER)) && $(call install,$(CLUSTER),$<,$(BYTECODE)) && touch $@

run: $(VENV)/requirements  ## install the dependencies, then serve http://127.0.0.1:8010 (MLflow UI on 8020)
	@exec $(BIN)/python app.py

up:  ## build the images and start the API and the MLflow UI in containers, and the COMPOSE_PROFILES of .env
	@$(COMPOSE) version >/dev/null 2>&1 || { echo "error: '$(COMPOSE)' does not work; deploy/README.md says how to install Docker and Compose" >&2; exit 1; }
	@$(COMPOSE) up -d --build && echo "API: http://127.0.0.1:8010 (or API_PORTS of .env); MLflow UI: http://127.0.0.1:8020; output: make logs"

down:  ## stop and remove the containers; models, logs and runs stay in their volumes
	@$(COMPOSE) $(PROFILES) down

logs:  ## follow the output of the containers
	@$(COMPOSE) $(PROFILES) logs -f --tail 100

train: $(VENV)/requirements  ## train on MSFT, log to MLflow, publish to modelFiles/
	@$(BIN)/python modelTrain.py

test: $(VENV)/requirements-dev lint  ## lint, types and all tests (about 9 minutes on two cores)
	@$(PYTEST)

test-fast: $(VENV)/requirements-dev  ## the tests that take less than a second each (a minute on two cores)
	@$(PYTEST) -m "not slow" --ignore=tests/e2e

coverage: $(VENV)/requirements-dev  ## how much of the code `make test-fast` runs
	@$(BIN)/python -m coverage run -m pytest -q -m "not slow" --ignore=tests/e2e && $(BIN)/python -m coverage report

lint: $(VENV)/requirements-dev  ## ruff, mypy (code, tests and benchmarks), the direction of imports, and the types of static/js
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/tach check && $(MAKE) --no-print-directory lint-js

lint-js: node_modules/.package-lock.json  ## types of static/js, by TypeScript
	@npx tsc

node_modules/.package-lock.json: package-lock.json
	@command -v npm >/dev/null || { echo "error: npm is missing; as root: make node" >&2; exit 1; }
	@npm ci --silent

format: $(VENV)/requirements-dev  ## format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench-forecast: $(VENV)/requirements-dev $(FORECAST_PEERS)/requirements  ## test the forecasts on 20 stocks and compare them with GARCH, statsforecast, darts and MAPIE (15 to 25 minutes)
	@$(BIN)/python benchmarks/benchForecast.py

bench: $(VENV)/requirements-dev $(PEERS)/requirements wrk  ## measure serving, training and other servers (under 15 minutes)
	@$(BIN)/python benchmarks/benchServing.py

bench-quick: $(VENV)/requirements-dev $(PEERS)/requirements wrk  ## a short `make bench` that writes no report (under 2 minutes)
	@$(BIN)/python benchmarks/benchServing.py --quick

bench-page: $(VENV)/requirements-dev chromium  ## measure the page's weight and the time to its first chart (half a minute)
	@$(BIN)/python benchmarks/benchPage.py

bench-worker: $(VENV)/requirements-dev wrk  ## measure what each part of the custom worker gains (9 minutes)
	@$(BIN)/python benchmarks/benchWorker.py

bench-scale: $(VENV)/requirements-dev  ## measure symbols trained per hour with 1 process, 2, and Dask (15 minutes)
	@$(BIN)/python benchmarks/benchScale.py

soak: $(VENV)/requirements-dev  ## run half an hour of valid and invalid load, and report failures and growth
	@$(BIN)/python benchmarks/soak.py

fuzz: $(VENV)/requirements-dev  ## read damaged price files for ten minutes, and report those that are read wrongly
	@$(BIN)/python benchmarks/fuzzReader.py

texts: $(VENV)/requirements-dev  ## collect the page's texts into translations/ and compile them; names those without a translation
	@$(BIN)/python translations/makeTexts.py

notebook: $(VENV)/requirements-dev  ## run jupyter/forecast.py, the notebook as text, and write forecast.ipynb (a minute)
	@$(BIN)/python jupyter/makeNotebook.py

docs: $(VENV)/requirements-dev  ## build the documentation site into site/
	@$(MKDOCS) build --strict && echo "Open site/index.html, or serve it: make docs-serve"

docs-serve: $(VENV)/requirements-dev  ## show the documentation on http://127.0.0.1:8030 while you write it
	@$(MKDOCS) serve --dev-addr 127.0.0.1:8030

diagrams: $(VENV)/requirements-dev  ## draw the Mermaid diagrams of docs/ for the site (needs Node.js and Chromium)
	@$(BIN)/python docs/makeDiagrams.py

pages: $(VENV)/requirements-dev  ## write the pages of docs/reference/ that come from code
	@$(BIN)/python docs/makePages.py && $(BIN)/python client/makeReference.py

screenshot: $(VENV)/requirements-dev chromium  ## take the README's screenshot again
	@$(BIN)/python tests/e2e/makeScreenshot.py

node:  ## install Debian's Node.js and npm, for the type checks of static/js (needs root)
	@$(call apt,npm,nodejs npm)

chromium:  ## install Debian's headless Chromium for the browser tests (needs root)
	@$(call apt,chromium-headless-shell,chromium-headless-shell) || command -v chromium >/dev/null

firefox:  ## install Debian's Firefox ESR for the test of the page in Firefox (needs root)
	@$(call apt,firefox-esr,firefox-esr) || command -v firefox >/dev/null

prometheus:  ## install Debian's Prometheus with promtool, for the tests of deploy/monitoring (needs root)
	@$(call apt,prometheus,prometheus)

memcached:  ## install Debian's memcached, for the test of RATE_LIMIT_STORAGE (needs root)
	@$(call apt,memcached,memcached)

proxies:  ## install Debian's nginx and Caddy, for the tests of deploy/proxy (needs root)
	@$(call apt,nginx,nginx-light)
	@$(call apt,caddy,caddy)

cluster: postgresql $(CLUSTER)/requirements  ## install PostgreSQL, an S3 store and the schemas of Kubernetes, for the tests of deploy/kubernetes

postgresql:  ## install Debian's PostgreSQL, for the test of MLflow on it (needs root)
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || $(call apt,initdb,postgresql)

java:  ## install Debian's Java 17, for Spark (needs root)
	@$(call apt,java,openjdk-17-jre-headless)

spark: java $(VENV)/requirements-dev benchmarks/requirements-spark.txt  ## install Java and Spark, for docs/how-to/spark.md and its test (Java needs root)
	@$(call install,$(VENV),benchmarks/requirements-spark.txt)

bench-bulk: $(VENV)/requirements-dev  ## measure windows per second in bulk, and in Spark where `make spark` was run (10 to 20 minutes)
	@$(BIN)/python benchmarks/bulkScoring.py

wrk:  ## install Debian's wrk, the load generator of the benchmarks (needs root)
	@$(call apt,wrk,wrk) || \
	{ echo "error: wrk is missing and could not be installed; as root: apt-get install wrk" >&2; exit 1; }

lock: $(VENV)/requirements-dev  ## pin the dependencies of pyproject.toml in the requirements files
	@compile="$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml"; \
	$$compile --extra train --group dev -o requirements-dev.txt && \
	$$compile --extra train -c requirements-dev.txt -o requirements.txt && \
	$$compile -c requirements.txt -o requirements-serve.txt && \
	$${compile/pyproject.toml/benchmarks/requirements-peers.in} -c requirements-serve.txt -o benchmarks/requirements-peers.txt && \
	$${compile/pyproject.toml/benchmarks/requirements-forecast-peers.in} -o benchmarks/requirements-forecast-peers.txt && \
	$${compile/pyproject.toml/benchmarks/requirements-spark.in} -c requirements-dev.txt -o benchmarks/requirements-spark.txt && \
	$${compile/pyproject.toml/deploy/requirements-mlflow.in} -o deploy/requirements-mlflow.txt && \
	$${compile/pyproject.toml/deploy/requirements-cluster.in} -c deploy/requirements-mlflow.txt -o deploy/requirements-cluster.txt

clean:  ## remove the environments, caches, logs, the built documentation and MLflow runs
	@rm -rf $(VENV) $(PEERS) $(FORECAST_PEERS) $(CLUSTER) node_modules site mlruns data/cache .pytest_cache .mypy_cache .ruff_cache .hypothesis log_predictions.csv*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
