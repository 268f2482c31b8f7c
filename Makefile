# Everything below makes its own environment in .venv; only Python 3.10 to 3.13 with venv is needed beforehand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# make demo: which task, for how many seconds; RATE in Hz if not the model's own; HEADLESS=1 for no viewer
# make faults: how often the logger is killed
TASK ?= baoding
SECONDS ?= 30
RATE ?=
HEADLESS ?=
DEMO_ARGS ?=
PYTEST_ARGS ?=
# make test: ALL=1 for those that take long as well, as continuous integration does
ALL ?=
KILLS ?= 5
# make fuzz: how many inputs in all
INPUTS ?= 100000

# make mutation: which part of the core, and for how many minutes at most
PART ?=
MINUTES ?=
MUTATION_ARGS ?=

.PHONY: help demo test docs faults fuzz mutation lint clean

help:
	@echo "make demo   a hand in simulation under the shipped controller"
	@echo "            TASK=$(TASK) SECONDS=$(SECONDS) RATE= HEADLESS="
	@echo "make test   the tests            PYTEST_ARGS='-k name'"
	@echo "            ALL=1: also those marked slow, as CI does"
	@echo "make docs   the documentation site, in build/docs/index.html"
	@echo "make faults the fault matrix: what happens when things fail, as a table"
	@echo "            KILLS=$(KILLS) of the logger"
	@echo "make fuzz   damaged messages, contracts, models, episodes and parameters, as a table"
	@echo "            INPUTS=$(INPUTS)"
	@echo "make mutation  which changes of the core no test notices, as a table; hours, resumes where it was stopped"
	@echo "            PART=control|planning|episodes|registry|evaluation MINUTES="
	@echo "make lint   ruff, mypy and codespell"
	@echo "make clean  remove .venv and build outputs"

demo: $(VENV)/.with-demo
	@$(BIN)/mbrl demo $(TASK) --seconds $(SECONDS) $(if $(RATE),--rate $(RATE)) \
	  $(if $(filter-out 0 false no,$(HEADLESS)),--headless) $(DEMO_ARGS)

test: $(VENV)/.with-all
	@$(BIN)/python tools/run_tests.py $(if $(filter-out 0 false no,$(ALL)),,-m "not slow") $(PYTEST_ARGS)

# Warnings are errors: a link that leads nowhere, a key of a file that nobody describes.
docs: $(VENV)/.with-all
	@$(BIN)/python -m sphinx -q -E -b html -W --keep-going docs build/docs
	@echo "build/docs/index.html"

faults: $(VENV)/.with-all
	@$(BIN)/python -m pytest tests/ros/faults --most-periods 2 --logger-kills $(KILLS) $(PYTEST_ARGS)

# Without capturing stderr, so that a hang or a fault of a library shows where it was.
fuzz: $(VENV)/.with-all
	@$(BIN)/python -m pytest tests/fuzz --capture=sys --fuzz-inputs $(INPUTS) $(PYTEST_ARGS)

mutation: $(VENV)/.with-mutation
	@$(BIN)/python tools/mutation.py $(PART) $(if $(MINUTES),--minutes $(MINUTES)) $(MUTATION_ARGS)

lint: $(VENV)/.with-all
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/codespell

# The demo leaves out training, so that the hand moves within two minutes of a fresh clone.
$(VENV)/.with-demo: EXTRAS = sim,ros,viewer
$(VENV)/.with-all: EXTRAS = sim,ros,viewer,train,policy,export,scale,test,dev,docs
$(VENV)/.with-mutation: EXTRAS = sim,ros,viewer,train,policy,export,scale,test,dev,docs,mutation

$(VENV)/.with-%: $(VENV)/.created setup.py
	@echo "Installing mbrl_controller[$(EXTRAS)] into $(VENV) ..."
	@start=$$(date +%s); $(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[$(EXTRAS)]'; \
	  echo "Installed in $$(( $$(date +%s) - start )) s."; touch $@

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 10) <= v <= (3, 13) or sys.exit(f"Python 3.10 to 3.13 is needed, {sys.executable} is {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	@echo "Creating $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "venv failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

clean:
	rm -rf $(VENV) build install log dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
