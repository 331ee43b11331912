# make demo and make test work on a fresh machine with Python 3.11, git, make and a compiler.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# two processes, a file each: fixtures that several tests share are made once a file. One thread each: the models are tiny.
# In the order of tests/conftest.py: xdist would begin with the files of most tests, which are short ones.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -rs -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help install demo test test-slow lint types check results clean

help:
	@echo "make demo       train, export, verify and time a model on generated e-mails; prints the report's path"
	@echo "make test       the tests (set EDGEWRIGHT_DATA to a folder of real sets to run those that need them)"
	@echo "make test-slow  the same at full sizes"
	@echo "make check      lint, types and tests"
	@echo "make results    the published figures, the zoo's bundle and README's table"

install: $(VENV)/.installed

# torch goes first and by its exact version: another package's range would take the newest build, with CUDA.
$(VENV)/.installed: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "edgewright needs Python 3.11: install it, or say make PYTHON=..."; exit 1; }
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[peers]' || \
	  echo "edgewright[peers] was not installed (fastText is built with a C++ compiler): what needs it is skipped"
	@touch $@

demo: install
	$(BIN)/edgewright run urgency --effort rapid --out out/urgency

test: install
	$(PYTEST) -m "not slow"

test-slow: install
	$(PYTEST)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

check: lint types test

# Needs EDGEWRIGHT_DATA and a quiet machine; takes about an hour. Exit code 4 (too noisy) keeps the figures, marked so.
NORMAL = --effort normal --out out/normal
results: install
	for name in urgency intent intent_cnn banking entities logs text_en reply_small; do \
	  $(BIN)/edgewright run $$name $(NORMAL)/$$name --allow-inconclusive || [ $$? -eq 1 ] || exit 1; \
	done
	$(BIN)/edgewright families $(NORMAL)/families
	for name in intent intent_cnn; do \
	  $(BIN)/edgewright bench out/normal/$$name/bundle $(NORMAL)/$$name --full \
	    --data "$$EDGEWRIGHT_DATA/intent_clinc150/test.jsonl.gz" || exit 1; \
	done
	for name in intent banking; do $(BIN)/edgewright peers $$name $(NORMAL)/$$name || exit 1; done
	$(BIN)/python -m edgewright.benchmarks.publish out/normal urgency intent banking intent_cnn \
	  entities logs text_en reply_small

clean:
	rm -rf build dist out src/*.egg-info .mypy_cache .pytest_cache .ruff_cache
