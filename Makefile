# make run   the whole pipeline on the simulated market, then the ranking, what its first funds load on, and what
#            could break them
# make test  the whole test suite
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
export DAGSTER_HOME ?= $(CURDIR)
export PYTHONWARNINGS ?= ignore::DeprecationWarning
# dagster.yaml says the same; this also keeps its empty log folders out of the checkout.
export DAGSTER_DISABLE_TELEMETRY ?= yes
PORT   ?= 3000

.PHONY: help run test ui lint bench lock clean queries browser

help:
	@echo "make run    build the warehouse from the simulated market and show the ranking"
	@echo "make test   run the tests"
	@echo "make ui     start the Dagster UI on http://127.0.0.1:3000"
	@echo "make lint   ruff, mypy, import contracts"
	@echo "make bench  benchmarks against peers"
	@echo "make lock   refresh the hash-pinned lock files"
	@echo "make clean  remove environment, caches, compiled kernels and the warehouse's files"

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("etf_pipeline needs Python 3.11 or newer, this is %s: make PYTHON=python3.12 ..." % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m etf_pipeline.kernels
	touch $@

run: $(VENV)/.installed
	@mkdir -p warehouse
	$(BIN)/etf build
	$(BIN)/etf rank
	$(BIN)/etf exposure --short
	$(BIN)/etf stress --short

test: $(VENV)/.installed browser
	@$(BIN)/python -m etf_pipeline.kernels
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# Browser tests use Debian's Chromium where it can be had, and skip with a reason where it cannot.
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	  { [ "$$CI" = true ] && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && \
	    apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || true

ui: $(VENV)/.installed
	@mkdir -p warehouse
	$(BIN)/dg dev --workspace workspace.yaml --host 127.0.0.1 --port $(PORT)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-bench.lock
	@for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# duckdb is held at the 1.5 long-term-support line.
lock:
	echo 'duckdb>=1.5,<1.6' | uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 --extra dev -c - pyproject.toml -o requirements.lock
	echo 'duckdb>=1.5,<1.6' | uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 --extra dev --extra bench -c - -c requirements.lock pyproject.toml -o requirements-bench.lock

clean:
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/etf_pipeline"
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find warehouse -mindepth 1 -maxdepth 1 ! -name README.md ! -name queries -exec rm -rf {} +
