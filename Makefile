# Each target makes its own virtual environment when there is none.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# A file's tests share what is slow to make, and so a process.
PYTEST ?= -n auto --maxprocesses=4 --dist loadfile

.PHONY: demo test lint clean

demo: $(VENV)/.demo-ready
	PATH="$(abspath $(BIN)):$$PATH" bash demo/run.sh

test: $(VENV)/.test-ready
	$(BIN)/python -m pytest $(PYTEST)

lint: $(VENV)/.test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) demo_output

$(VENV)/.demo-ready: setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.test-ready: setup.py $(VENV)/.demo-ready
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $@
