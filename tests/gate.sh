#!/bin/sh
# The whole gate, in the order that fails soonest. BIN is the virtual environment's bin folder.
set -eu
BIN=${BIN:-.venv/bin}
step() { printf '\n== %s\n' "$*"; }

step format
"$BIN/ruff" format --check guard tests bench deploy
step lint
"$BIN/ruff" check guard tests bench deploy
step types
"$BIN/mypy"
step tests
"$BIN/python" -m pytest -n 2 --dist loadgroup -q --cov --cov-report= tests
step coverage of the pure rooms
"$BIN/coverage" report --fail-under=95 --include='guard/catalogue/*,guard/access/*,guard/intent/*,guard/policy/*,guard/limits/*,guard/journal/record.py,guard/journal/chain.py,guard/journal/tree.py,guard/journal/note.py,guard/journal/examine.py,guard/journal/succession.py,guard/journal/place.py,guard/upstream/verdict.py,guard/upstream/circuit.py,guard/server/unproven.py,guard/walk/crowd.py,guard/server/bounds.py,guard/server/grammar.py,guard/server/fields.py,guard/server/reader.py,guard/server/replies.py,guard/server/wire.py,guard/stream/session.py,guard/terms.py,guard/codes.py'
step what an order costs
"$BIN/python" bench/gate.py
