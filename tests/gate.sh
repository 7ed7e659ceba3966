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
# The rest runs what is not judged far more than what is: to measure it takes half as long again and changes no verdict.
measured=$(echo tests/unit/test_*.py)
for room in access catalogue intent journal limits policy server stream terms upstream walk; do
    measured="$measured tests/unit/$room"
done
step tests of the rooms, measured
"$BIN/python" -m pytest -n 2 --dist worksteal -q --cov --cov-report= $measured
step coverage of the pure rooms
"$BIN/coverage" report --fail-under=95 --include="$("$BIN/python" tests/house/pure.py)"
step all other tests
"$BIN/python" -m pytest -n 2 --dist worksteal -q $(printf -- '--ignore=%s ' $measured) tests
step what an order costs
"$BIN/python" bench/gate.py
