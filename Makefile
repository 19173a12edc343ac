# All commands of the project. Needs sh, git, make and Python 3.11, 3.12 or 3.13 with venv; everything else comes from the lock.

SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
# GPU=1 uses a separate environment: the CPU and GPU builds of TensorFlow install the same Python package.
GPU ?=
VENV := $(if $(GPU),.venv-gpu,.venv)
LOCK := $(if $(GPU),requirements-gpu.lock,requirements.lock)
BIN := $(VENV)/bin
PORT ?= 5000

# Compiles pyproject.toml; only `make lock` needs it, so no environment contains it.
UV := uv==0.13.9
LOCKED := --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock" --quiet \
	$(if $(UPGRADE),--upgrade)
COMPILE := pip compile pyproject.toml $(LOCKED) --only-binary :all: --extra dev

export MLFLOW_DISABLE_TELEMETRY := true
# Show TensorFlow's errors only, without start-up notices and warnings.
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: help install spark demo test test-long lint format ci lock ui page bench bench-tuning bench-streaming bench-streams bench-conversations clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' Makefile

install: ## Make .venv from requirements.lock if the lock has changed (GPU=1: .venv-gpu with TensorFlow for GPUs)
	@cmp -s $(LOCK) $(VENV)/installed.lock || { set -e; \
		$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(None if v.startswith(("3.11.", "3.12.", "3.13.")) else \
			"error: $(PYTHON) is Python %s; this project needs 3.11, 3.12 or 3.13. Install it, or give its path: make PYTHON=/path/to/python3.11" % v)'; \
		echo "Installing $(LOCK) into $(VENV), once; a few minutes"; \
		$(PYTHON) -m venv --clear $(VENV); \
		$(BIN)/python -m pip install --disable-pip-version-check --no-input --require-hashes --only-binary :all: \
			-r $(LOCK); \
		cp $(LOCK) $(VENV)/installed.lock; }

spark: install ## Add pyspark to .venv for --engine spark, from requirements-spark.lock (450 MB; needs Java 17)
	@cmp -s requirements-spark.lock $(VENV)/installed-spark.lock || { set -e; \
		$(BIN)/python -m pip install --disable-pip-version-check --no-input --require-hashes --no-deps \
			--no-build-isolation -r requirements-spark.lock; \
		cp requirements-spark.lock $(VENV)/installed-spark.lock; }

demo: install ## Build the demo corpus, train, evaluate, register and score on it (6 to 8 minutes on 2 cores)
	PATH="$(CURDIR)/$(BIN):$$PATH" MLFLOW_EXPERIMENT_NAME=spoof-detector mlflow run . --env-manager local

test: install ## Run the tests, two files at a time
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-long: install ## Run the tests and their long forms (about 45 minutes on 2 cores)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "long or not long"

lint: install ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install ## Format the code and apply the linter's fixes
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

ci: install ## Run what CI runs: lint, then test
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test

lock: ## Write the locks from pyproject.toml (UPGRADE=1: newest versions of packages that it does not pin)
	@tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && set -e; \
		$(PYTHON) -m venv "$$tools"; \
		"$$tools/bin/python" -m pip install --quiet --disable-pip-version-check $(UV); \
		"$$tools/bin/uv" $(COMPILE) --extra cpu --output-file requirements.lock; \
		"$$tools/bin/uv" $(COMPILE) --extra gpu --constraint requirements.lock --output-file requirements-gpu.lock; \
		$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["spark"], sep="\n")' | \
			"$$tools/bin/uv" pip compile - $(LOCKED) --output-file requirements-spark.lock; \
		for group in page serving; do "$$tools/bin/uv" pip compile --group $$group $(LOCKED) --only-binary :all: \
			--constraint requirements.lock --output-file requirements-$$group.lock; done

ui: install ## Show runs and models in a browser (PORT=5000)
	$(BIN)/mlflow ui --port $(PORT)

page: install ## Serve the web page on http://127.0.0.1:8000: drop recordings, play them and see the champion's scores
	$(BIN)/python -m pipeline.page

bench: install ## Run the benchmarks and write benchmarks/results.md (about 45 minutes on 2 idle cores); resumes when stopped (ARGS=...)
	$(BIN)/python -m benchmarks.run $(ARGS)

bench-tuning: install ## Compare searches with and without pruning on the demo corpus (3 seeds each; hours on 2 cores)
	$(BIN)/python -m benchmarks.tuning $(ARGS)

bench-streaming: install ## Time the steps and the start of the stream, and measure its memory over an hour of audio (ARGS=...)
	$(BIN)/python -m benchmarks.streaming $(ARGS)

bench-streams: install ## Open 10, 25 and 50 streams at once on the page's WebSocket (ARGS=...)
	$(BIN)/python -m benchmarks.streams $(ARGS)

bench-conversations: install ## Locate spoof in spliced calls, compared with thresholds on single windows (ARGS=...)
	$(BIN)/python -m benchmarks.conversations $(ARGS)

clean: ## Remove the results of all runs: artifacts/, mlruns/, mlflow.db (asks first; YES=1 does not)
	@echo "Removes every corpus, Store, run, model and checkpoint under $(CURDIR):"
	@du -sch artifacts mlruns mlflow.db 2>/dev/null || true
	@if [ -z "$(YES)" ]; then printf 'Continue? [y/N] '; read -r answer || answer=; [ "$$answer" = y ] || { echo kept; exit 1; }; fi
	@find artifacts/ -mindepth 1 -maxdepth 1 ! -name README.md ! -name pretrained -exec rm -rf {} +
	@rm -rf mlruns mlflow.db mlflow.db-journal mlflow.db-wal mlflow.db-shm
