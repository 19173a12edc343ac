# Every command of the project. Needs sh, git, make and Python 3.11 with venv; the rest comes from the lock.

SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
# GPU=1 works in an environment of its own: the CPU and the GPU build of TensorFlow are the same Python package.
GPU ?=
VENV := $(if $(GPU),.venv-gpu,.venv)
LOCK := $(if $(GPU),requirements-gpu.lock,requirements.lock)
BIN := $(VENV)/bin
PORT ?= 5000

# Compiles pyproject.toml; belongs to no environment, as it is needed by `make lock` alone.
UV := uv==0.13.9
COMPILE := pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --only-binary :all: \
	--extra dev --custom-compile-command "make lock" --quiet $(if $(UPGRADE),--upgrade)

export MLFLOW_DISABLE_TELEMETRY := true
# TensorFlow's errors, without its start-up notices and warnings.
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: help install spark demo test test-long lint format ci lock ui page bench bench-tuning bench-streaming bench-conversations clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' Makefile

install: ## Make .venv from requirements.lock, if the lock has changed (GPU=1: .venv-gpu with TensorFlow for GPUs)
	@cmp -s $(LOCK) $(VENV)/installed.lock || { set -e; \
		$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(None if v.startswith("3.11.") else \
			"error: $(PYTHON) is Python %s; this project needs 3.11. Install it, or name it: make PYTHON=/path/to/python3.11" % v)'; \
		echo "Installing $(LOCK) into $(VENV), once; a few minutes"; \
		$(PYTHON) -m venv --clear $(VENV); \
		$(BIN)/python -m pip install --disable-pip-version-check --no-input --require-hashes --only-binary :all: \
			-r $(LOCK); \
		cp $(LOCK) $(VENV)/installed.lock; }

spark: install ## Add pyspark to .venv for --engine spark, from requirements-spark.lock (450 MB; wants Java 17)
	@cmp -s requirements-spark.lock $(VENV)/installed-spark.lock || { set -e; \
		$(BIN)/python -m pip install --disable-pip-version-check --no-input --require-hashes --no-deps \
			--no-build-isolation -r requirements-spark.lock; \
		cp requirements-spark.lock $(VENV)/installed-spark.lock; }

demo: install ## Build the demo corpus, train, evaluate, register and score on it (about 15 minutes on 2 cores)
	PATH="$(CURDIR)/$(BIN):$$PATH" MLFLOW_EXPERIMENT_NAME=spoof-detector mlflow run . --env-manager local

test: install ## Run all tests, two files at a time
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-long: install ## Run all tests and the long forms too (about 45 minutes on 2 cores)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "long or not long"

lint: install ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install ## Format the code and mend what the linter can
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

ci: install ## What CI runs: lint, then test
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test

lock: ## Write the locks from pyproject.toml (UPGRADE=1: newest versions of what it does not pin)
	@tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && set -e; \
		$(PYTHON) -m venv "$$tools"; \
		"$$tools/bin/python" -m pip install --quiet --disable-pip-version-check $(UV); \
		"$$tools/bin/uv" $(COMPILE) --extra cpu --output-file requirements.lock; \
		"$$tools/bin/uv" $(COMPILE) --extra gpu --constraint requirements.lock --output-file requirements-gpu.lock; \
		$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["spark"], sep="\n")' | \
			"$$tools/bin/uv" pip compile - --universal --python-version 3.11 --generate-hashes \
			--custom-compile-command "make lock" --quiet $(if $(UPGRADE),--upgrade) --output-file requirements-spark.lock

ui: install ## Show runs and models in a browser (PORT=5000)
	$(BIN)/mlflow ui --port $(PORT)

page: install ## Open the web page on http://127.0.0.1:8000: drop recordings, hear and see what the champion makes of them
	$(BIN)/python -m pipeline.page

bench: install ## Measure against targets, into benchmarks/results.md; goes on where it was stopped (ARGS=...)
	$(BIN)/python -m benchmarks.run $(ARGS)

bench-tuning: install ## Compare searches with and without pruning on the demo corpus (three seeds each; hours on 2 cores)
	$(BIN)/python -m benchmarks.tuning $(ARGS)

bench-streaming: install ## Time the stream's steps and its start, and watch its memory over an hour of audio
	$(BIN)/python -m benchmarks.streaming

bench-conversations: install ## Locate spoof in spliced calls of the demo corpus, against plain thresholds on windows
	$(BIN)/python -m benchmarks.conversations

clean: ## Remove all that runs made: artifacts/, mlruns/, mlflow.db (asks first; YES=1: does not ask)
	@echo "Removes every corpus, Store, run, model and checkpoint under $(CURDIR):"
	@du -sch artifacts mlruns mlflow.db 2>/dev/null || true
	@if [ -z "$(YES)" ]; then printf 'Go on? [y/N] '; read -r answer || answer=; [ "$$answer" = y ] || { echo kept; exit 1; }; fi
	@find artifacts/ -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
	@rm -rf mlruns mlflow.db mlflow.db-journal mlflow.db-wal mlflow.db-shm
