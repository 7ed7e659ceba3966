# Two commands are all a newcomer needs: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test format docs lock bench soak clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   the simulated daemon with the guard in front of it, ready to curl"
	@echo "make test   the whole gate: format, lint, types, house rules, docs, tests, what an order costs"
	@echo "make soak   a long night: traffic, faults, reloads, restarts, then everything verified (SOAK_S=600)"
	@echo "make bench  what the guard adds, measured on this machine"

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

demo: $(STAMP)
	@$(BIN)/guard demo

test: $(STAMP)
	@BIN=$(BIN) sh tests/gate.sh

format: $(STAMP)
	$(BIN)/ruff format guard tests bench deploy
	$(BIN)/ruff check --fix guard tests bench deploy

docs: $(STAMP)
	$(BIN)/python -m guard.catalogue.page docs/endpoints.md
	$(BIN)/python -m guard.policy.page .
	$(BIN)/python -m guard.audit.page docs/record-columns.md
	$(BIN)/python -m guard.settingspage docs/settings.md
	$(BIN)/python -m guard.selftest.page docs/bypass-matrix.md
	$(BIN)/python -m deploy.grafana.dashboard deploy/grafana/guard.json
	$(BIN)/python -m deploy.kubernetes.rules deploy/kubernetes/components/monitoring/prometheusrule.yaml

PIP_COMPILE := $(BIN)/pip-compile --quiet --no-strip-extras --generate-hashes --no-header \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links
lock: $(STAMP)
	@$(BIN)/python -m pip install --quiet pip-tools
	$(PIP_COMPILE) --extra audit --extra otel --extra dev --output-file requirements-dev.lock pyproject.toml
	$(PIP_COMPILE) --constraint requirements-dev.lock --output-file requirements.lock pyproject.toml

bench: $(STAMP)
	$(BIN)/python bench/run.py

SOAK_S ?= 600
soak: $(STAMP)
	$(BIN)/python -m tests.soak.soak $(SOAK_S)

clean:
	rm -rf $(VENV) dist build
