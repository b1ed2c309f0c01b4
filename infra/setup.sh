#!/usr/bin/env bash
# Builds the one virtual environment: setup.sh PYTHON VENV. Safe to interrupt and run again.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1
venv=$2
started=$SECONDS

step() { echo "set-up: $1"; }

if ! "$venv/bin/python" -c '' 2>/dev/null; then
    step "virtual environment in $venv with $python"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi
step "packages from requirements.lock (hashes checked)"
"$venv/bin/python" -m pip install --quiet --require-hashes -r infra/bootstrap.lock
export VIRTUAL_ENV="$PWD/$venv"
# Python workers of Spark keep no compiled code: what nobody compiled they would compile each time they start.
"$venv/bin/uv" pip sync --quiet --compile-bytecode --require-hashes requirements.lock
"$venv/bin/uv" pip install --quiet --no-deps --no-build-isolation --editable .
step "Delta's jars"
"$venv/bin/python" -m lake.jars
step "compiled kernels"
"$venv/bin/python" -m models.kernels_ahead
step "done in $((SECONDS - started)) s"
