#!/bin/sh
# The whole gate, in the order that fails soonest. BIN is the virtual environment's bin folder.
set -eu
BIN=${BIN:-.venv/bin}
unset PYTHONDONTWRITEBYTECODE  # hundreds of guards are started, and need not compile themselves each time
step() { printf '\n== %s\n' "$*"; }

step format
"$BIN/ruff" format --check guard tests bench deploy
step lint
"$BIN/ruff" check guard tests bench deploy
step types, and all tests found
"$BIN/mypy" &
types=$!
# One finds them on the other core and keeps their bytecode: else each worker of both halves compiles all of them at first.
found=$("$BIN/python" -m pytest --collect-only -qq tests 2>&1) || { printf '%s\n' "$found"; exit 1; }
wait "$types"
step tests of the rooms, measured
"$BIN/python" -m pytest -n 2 --dist worksteal -q --cov --cov-report= tests/unit
step coverage of the pure rooms
"$BIN/coverage" report --fail-under=95 --include="$("$BIN/python" tests/house/pure.py)"
# They run what is not judged far more than what is: to measure them took half as long again and changed no verdict.
step all other tests
"$BIN/python" -m pytest -n 2 --dist worksteal -q --ignore=tests/unit tests
step what an order costs
"$BIN/python" bench/gate.py
