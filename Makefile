# Everything lives in .venv; a fresh clone needs Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
SYSTEM := mosquitto victoria-metrics influxdb chromium socat

.PHONY: setup demo test chaos torture fuzz compare check bench lock schema instruments clean

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "assaygate needs Python 3.11 or newer; give one with make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.ready-dev: requirements-dev.lock requirements-peers.lock $(VENV)/.ready
	$(PIP) install --require-hashes -r requirements-dev.lock
	$(PIP) install --require-hashes --no-deps -r requirements-peers.lock
	touch $@

# Simulated instruments and a live page; Ctrl-C stops it.
demo: setup
	$(BIN)/assaygate demo

# Debian packages that tests run against; where they may not be installed, the tests that need them say so.
$(VENV)/.ready-system:
	@sh .ci/system-packages $(SYSTEM)
	@mkdir -p $(VENV) && touch $@

# The crash and load tests share the machine with nothing else, so they come by themselves.
test: $(VENV)/.ready-dev $(VENV)/.ready-system
	$(BIN)/python -m pytest $(ARGS)

# Every simulator at once on one daemon, an hour of simulated time in a minute; it wants a quiet machine.
chaos: $(VENV)/.ready-dev $(VENV)/.ready-system
	$(BIN)/python -m pytest -m chaos tests/system/test_chaos_bench.py $(ARGS)

# The promise under faults, as a table, and each row shown to be able to fail; HOURS=8: a soak instead.
torture: $(VENV)/.ready-dev $(VENV)/.ready-system
	$(BIN)/python -m tests.torture $(if $(HOURS),--hours $(HOURS)) $(ARGS)

# Bytes led by coverage look for what breaks a driver or a reader of files; five minutes, or SECONDS for each target.
FUZZ := .fuzz/atheris
fuzz: $(VENV)/.ready-dev $(FUZZ)/.ready
	PYTHONPATH=$(FUZZ) $(BIN)/python -m tests.fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

$(FUZZ)/.ready: requirements-fuzz.lock
	$(PIP) install --require-hashes --upgrade --target $(FUZZ) -r requirements-fuzz.lock
	touch $@

# The same instruments and kills for what a user would pick instead; it wants Node.js.
COMPARE := .compare
compare: $(VENV)/.ready-dev $(VENV)/.ready-system $(COMPARE)/.ready
	$(BIN)/python -m tests.compare $(ARGS)

$(COMPARE)/.ready:
	npm install --silent --prefix $(COMPARE) node-red@4.1.15
	touch $@

check: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_readme.py

bench: $(VENV)/.ready-dev $(VENV)/.ready-system
	$(BIN)/python -m tests.bench $(ARGS)

# Versions and hashes only: no registry's address goes into a lock.
COMPILE := $(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-emit-trusted-host --no-header --extra build --extra demo --extra notify --extra tables
lock: $(VENV)/.ready
	$(PIP) install pip-tools
	$(COMPILE) --upgrade --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

schema: $(VENV)/.ready
	$(BIN)/python -c "import json; from gateway.config import json_schema; print(json.dumps(json_schema(), indent=1, ensure_ascii=False))" > configs/assaygate.schema.json

instruments: $(VENV)/.ready
	$(BIN)/assaygate drivers --table > docs/instruments.md

clean:
	rm -rf $(VENV) $(COMPARE) $(FUZZ) demo-data build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
