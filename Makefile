# Attune's commands. Bare `make` lists them.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.attune-setup

# The test suite needs no network; the set-up needs the package indexes that pip and Spark are set up for.
export OPENBLAS_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup bench-als bench-als-quality bench-als-scaling bench-topk bench-truth demo test unit lint lock clean

help: ## list these targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv from the hashed lock and fetch Delta's jars

$(STAMP): requirements.lock pyproject.toml infra/bootstrap.lock
	@python=$$(infra/toolchain.sh python) && infra/toolchain.sh java && infra/setup.sh "$$python" $(VENV)
	@touch $@

bench-als: setup ## ALS beside Spark MLlib and implicit; half an hour, most of it MLlib's
	@$(BIN)/python -m benchmarks.als

bench-als-quality: setup ## nDCG of ALS on MovieLens-100k, and beside implicit on Online Retail II
	@$(BIN)/python -m benchmarks.als_quality

bench-als-scaling: setup ## time and memory of ALS against users, items, rank and workers
	@$(BIN)/python -m benchmarks.als_scaling

bench-topk: setup ## exact top-k beside MLlib, implicit and the bare matrix product
	@$(BIN)/python -m benchmarks.top_k

bench-truth: setup ## precision and recall of cleaning, by kind of defect, on a generated log
	@$(BIN)/python -m benchmarks.clean_truth $(if $(EVENTS),--events $(EVENTS))

demo: setup ## run the main job on Complete Journey: files in, recommendations out
	@$(BIN)/attune demo --missing-consent granted

test: setup lint ## lint, types and all tests, with a real scheduler and a real cluster
	@$(BIN)/python -m pytest

unit: setup ## only the fast tests, in one Spark session
	@$(BIN)/python -m pytest -m "not e2e"

lint: setup ## ruff and mypy
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

lock: setup ## resolve the lock file anew from pyproject.toml
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--extra dev --extra bench pyproject.toml -o requirements.lock

clean: ## remove the environment (never the data)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
