# The two commands: `make reproduce` and `make test`. Everything happens inside .venv; nothing else is touched.
PYTHON ?= python3
VENV ?= .venv
WORKDIR ?= results/reproduce
# What `make test` installs beside the package; CI adds `reference` (openSMILE, research licence).
EXTRAS ?= test

BIN := $(VENV)/bin
COMMA := ,
STAMP := $(VENV)/.installed-$(subst $(COMMA),-,$(EXTRAS))

.PHONY: reproduce smoke test test-long lint types tables clean help

help:
	@echo "make reproduce   install into $(VENV), run the paper's protocol on the shipped tables, print Table 1, draw Figure 2"
	@echo "make test        install into $(VENV) with the test extras, run the tests"
	@echo "make smoke       the main job in its smallest configuration"
	@echo "make test-long   the tests that take minutes too"
	@echo "make lint types  ruff, mypy"
	@echo "make tables SIAMESE_JAX_DATA=DIR   make the shipped tables again from DIR/audio/{ravdess,emodb}"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$$($(PYTHON) --version) is too old: CPython 3.11 or newer is needed; try make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed: $(BIN)/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet -e .
	@touch $@

$(STAMP): $(BIN)/python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[$(EXTRAS)]'
	@touch $@ $(VENV)/.installed

reproduce: $(VENV)/.installed
	$(BIN)/python -m launch.reproduce --workdir=$(WORKDIR)

smoke: $(VENV)/.installed
	$(BIN)/python -m launch.reproduce --config=configs/smoke.py --workdir=results/smoke

test: $(STAMP)
	$(BIN)/python -m pytest

test-long: $(STAMP)
	$(BIN)/python -m pytest -m "long or not long"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

tables: $(VENV)/.installed
	@test -d "$(SIAMESE_JAX_DATA)/audio" || { echo "give the recordings: make tables SIAMESE_JAX_DATA=DIR, with DIR/audio/ravdess and DIR/audio/emodb"; exit 1; }
	$(BIN)/python scripts/make_tables.py --data=$(SIAMESE_JAX_DATA)

clean:
	rm -rf results build *.egg-info .pytest_cache .mypy_cache .ruff_cache
