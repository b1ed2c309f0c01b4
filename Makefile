# Attune's commands. Bare `make` lists them.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.attune-setup
PEERS := .venv-peers
PEERS_PYTHON ?= 3.11
# Processes that the tests are divided among: 2 want two cores and some 8 GB; 0 runs them one after another.
TEST_PROCESSES ?= 2
PYTEST = $(BIN)/python -m pytest -n $(TEST_PROCESSES) --no-loadscope-reorder

# The test suite needs no network; the set-up needs the package indexes that pip and Spark are set up for.
export OPENBLAS_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup bench-als bench-als-quality bench-als-scaling bench-backfill bench-cdnow bench-clean bench-families bench-files bench-growth bench-idle bench-nights bench-peers bench-quality bench-rules bench-skew bench-topk bench-truth demo test unit lint lock clean

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

bench-cdnow: setup ## BG/NBD and Gamma-Gamma on CDNOW beside the published figures; plot in MLflow
	@$(BIN)/python -m benchmarks.cdnow

bench-backfill: setup ## RFM and affinities of a whole log beside DuckDB and polars
	@$(BIN)/python -m benchmarks.backfill $(if $(EVENTS),--events $(EVENTS) --large 0)

bench-clean: setup ## cleaning beside merely reading the same JSON lines
	@$(BIN)/python -m benchmarks.clean $(if $(EVENTS),--events $(EVENTS))

bench-growth: setup ## cleaning and features of a log and of one of ten times its events
	@$(BIN)/python -m benchmarks.growth $(if $(EVENTS),--events $(EVENTS))

bench-families: setup ## what each family of features adds to the ranker's nDCG, on the validation window; an hour
	@$(BIN)/python -m benchmarks.families $(if $(DATA),--data $(DATA)) $(patsubst %,--family %,$(FAMILY))

bench-peers: $(PEERS)/.setup ## the project's nDCG beside implicit, MLlib, RecTools, RePlay and recommenders' SAR; over an hour
	@$(BIN)/python -m benchmarks.peers_quality $(if $(DATA),--data $(DATA))

$(PEERS)/.setup: benchmarks/peers_environment/requirements.lock | setup
	@echo "set-up: the peers' environment in $(PEERS) (hashes checked)"
	@$(BIN)/uv venv -q --clear -p $(PEERS_PYTHON) $(PEERS) 2>/dev/null || { echo "Python: found" \
		"$$($(BIN)/python -V | cut -d ' ' -f 2) in $(VENV); the peers need 3.11, and uv neither found nor fetched $(PEERS_PYTHON);" \
		"install it (Debian: apt-get install python3.11) or name one: make bench-peers PEERS_PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(BIN)/uv pip install -q --python $(PEERS)/bin/python --require-hashes -r $<
	@touch $@

bench-quality: setup ## nDCG of the hybrid, ALS and EASE on real data, with intervals; half an hour
	@$(BIN)/python -m benchmarks.quality $(if $(DATA),--data $(DATA))

bench-rules: setup ## row rules and gate beside Great Expectations alone
	@$(BIN)/python -m benchmarks.rules

bench-skew: setup ## whether one bot or one item holds a stage up
	@$(BIN)/python -m benchmarks.skew $(if $(EVENTS),--events $(EVENTS))

bench-topk: setup ## exact top-k beside MLlib, implicit and the bare matrix product
	@$(BIN)/python -m benchmarks.top_k

bench-truth: setup ## precision and recall of cleaning, by kind of defect, on a generated log
	@$(BIN)/python -m benchmarks.clean_truth $(if $(EVENTS),--events $(EVENTS))

bench-files: setup ## files of the tables after 60 nights, with and without upkeep
	@$(BIN)/python -m benchmarks.files

bench-idle: setup ## seconds of jobs that have nothing to do
	@$(BIN)/python -m benchmarks.idle

bench-nights: setup ## one night's features after 30 and 365 days of history, and from nothing
	@$(BIN)/python -m benchmarks.nights $(if $(EVENTS),--events $(EVENTS))

demo: setup ## run the main job on Complete Journey: files in, recommendations out
	@$(BIN)/attune demo --missing-consent granted

test: setup lint ## lint, types and all tests, with a real scheduler and a real cluster
	@$(PYTEST)

unit: setup ## only the fast tests, without processes of their own
	@$(PYTEST) -m "not e2e"

lint: setup ## ruff and mypy
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

lock: setup ## resolve the lock file anew from pyproject.toml
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--extra dev --extra bench pyproject.toml -o requirements.lock
	@cd benchmarks/peers_environment && ../../$(BIN)/uv pip compile -q --python-version 3.11 --generate-hashes \
		--no-emit-index-url requirements.in -o requirements.lock

clean: ## remove the environments (never the data)
	@rm -rf $(VENV) $(PEERS) .mypy_cache .ruff_cache .pytest_cache
