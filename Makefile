# `make demo` and `make test` need Python >= 3.11, pip and make; all else goes into .venv.

PYTHON ?= python3
export PYTHON
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
NEWEST := 3.13
LIBRARIES := .venv-libraries
LIBRARIES_INSTALLED := $(LIBRARIES)/.installed

# Tests start thousands of processes: without its bytecode each compiles kale_pm anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test newest pythons unit lint format slow fuzz libraries bench images package clean

help:
	@echo "make demo     run examples/wine.ipynb, and say where to look"
	@echo "make test     linters and all tests, the unit tests on the newest Python as well"
	@echo "make pythons  the unit tests on every supported Python found"
	@echo "make unit     the unit tests only (seconds)"
	@echo "make lint     ruff and mypy"
	@echo "make format   let ruff format the code"
	@echo "make slow     the tests that take minutes"
	@echo "make fuzz     thousands of random notebooks, in one kernel and as pipelines (a quarter of an hour)"
	@echo "make libraries  tests with torch, Keras, XGBoost and others, in an environment of their own"
	@echo "make bench    time kale-pm; PEER=/path/to/python puts Kale beside it"
	@echo "make package  build the wheel and try it in a fresh environment"
	@echo "make images   draw the README's pictures again"
	@echo "make clean    remove what the targets made"

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "kale-pm needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

demo: $(INSTALLED)
	$(BIN)/kale-pm run examples/wine.ipynb

test: lint unit newest
	$(BIN)/python -m pytest -q -n auto --dist loadgroup tests/run tests/law tests/kfp tests/e2e tests/libraries -m "not slow"
	tests/every_python.sh $(NEWEST)

# Before it is needed, for with `make --jobs` it is made beside other things.
newest:
	tests/every_python.sh --install $(NEWEST)

pythons: $(INSTALLED)
	tests/every_python.sh

unit: $(INSTALLED)
	$(BIN)/python -m pytest -q -n auto tests/unit

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

slow: $(INSTALLED)
	$(BIN)/python -m pytest -q tests -m slow

fuzz: $(INSTALLED)
	KALE_PM_LAW_EXAMPLES=2000 $(BIN)/python -m pytest -q -n auto tests/law/test_law.py

$(LIBRARIES_INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(LIBRARIES)
	$(LIBRARIES)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(LIBRARIES)/bin/python -m pip install --quiet --editable . --group libraries
	@touch $@

libraries: $(LIBRARIES_INSTALLED)
	$(LIBRARIES)/bin/python -m pytest -q -n auto tests/libraries

bench: $(INSTALLED)
	$(BIN)/python benchmarks/check.py $(if $(PEER),--peer $(PEER))
	$(BIN)/python benchmarks/dataflow.py $(if $(PEER),--peer $(PEER))
	$(BIN)/python benchmarks/marshal.py $(if $(PEER),--peer $(PEER))
	$(BIN)/python benchmarks/local.py
	$(BIN)/python benchmarks/sweep.py
	$(BIN)/python benchmarks/pods.py

package: $(INSTALLED)
	.ci/package

images: $(INSTALLED)
	$(BIN)/python images/make.py

clean:
	rm -rf $(VENV) .venv-* dist .pytest_cache .mypy_cache .ruff_cache examples/.kale-pm
