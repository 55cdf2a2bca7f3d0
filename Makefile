# The two commands: `make reproduce` and `make test`. Everything happens inside .venv; nothing else is touched.
PYTHON ?= python3
VENV ?= .venv
WORKDIR ?= results/reproduce
# What `make test` installs beside the package; CI adds `reference` (openSMILE, research licence).
EXTRAS ?= test
# Processes that run tests side by side.
WORKERS ?= 2

BIN := $(VENV)/bin
COMMA := ,
STAMP := $(VENV)/.installed-$(subst $(COMMA),-,$(EXTRAS))

.PHONY: reproduce smoke install test test-long sweeps notebooks mutation newest-python lint types tables clean help

help:
	@echo "make reproduce   install into $(VENV), run the paper's protocol on the shipped tables, print Table 1, draw Figure 2"
	@echo "make test        install into $(VENV) with the test extras, run the tests"
	@echo "make smoke       the main job in its smallest configuration"
	@echo "make test-long   the tests that take minutes, and only these"
	@echo "make sweeps      mutated recordings, tables, configurations and work directories (minutes)"
	@echo "make mutation    30 faults put into the code one at a time: do the tests see them (minutes)"
	@echo "make notebooks   run every notebook from its first cell to its last"
	@echo "make newest-python   the smoke run and a quick part of the tests on the newest Python found, with the newest packages"
	@echo "make lint types  ruff, mypy"
	@echo "make tables SIAMESE_JAX_DATA=DIR   make the shipped tables again from DIR/audio/{ravdess,emodb}"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$$($(PYTHON) --version) is too old: CPython 3.11 or newer is needed; try make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed: $(BIN)/python setup.py setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet -e .
	@touch $@

$(STAMP): $(BIN)/python setup.py setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[$(EXTRAS)]'
	@touch $@ $(VENV)/.installed

# The shell reads folders from the environment, so that blanks and quotes in them stay what they are.
export WORKDIR

reproduce: $(VENV)/.installed
	$(BIN)/siamese-jax reproduce --workdir="$$WORKDIR"

smoke: $(VENV)/.installed
	$(BIN)/siamese-jax reproduce --config=smoke --workdir=results/smoke

install: $(STAMP)

test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --durations=20

test-long: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) -m "long and not notebook and not sweep" --durations=20

sweeps: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) -m sweep

notebooks: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist load -m notebook tests/test_notebooks.py

mutation: $(STAMP)
	$(BIN)/python scripts/mutate.py --short --workers=$(WORKERS) --results=results/mutation_short.json

newest-python:
	scripts/newest_python.sh

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

tables:
	@test -d "$$SIAMESE_JAX_DATA/audio/ravdess" && test -d "$$SIAMESE_JAX_DATA/audio/emodb" \
	  || { echo "give the recordings: make tables SIAMESE_JAX_DATA=DIR, with DIR/audio/ravdess and DIR/audio/emodb"; exit 1; }
	@$(MAKE) --no-print-directory $(VENV)/.installed
	$(BIN)/python scripts/make_tables.py --data="$$SIAMESE_JAX_DATA"

clean:
	rm -rf results build *.egg-info .pytest_cache .mypy_cache .ruff_cache
