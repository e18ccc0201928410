# The commands of the house. `make` lists them.
#
#   make run                                            a demo shop at http://127.0.0.1:8000
#   make run DATA=orders.parquet MAPPING=online-retail  your own orders
#   make run PORT=8001 HOST=127.0.0.1                   elsewhere
#   make test                                           checks and tests, all that a commit must pass

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help run test check bench docs clean

VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?=
WORKERS ?= 2
DATA ?=
MAPPING ?=
PORT ?=
HOST ?=
TESTS ?=

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 16

# Each stamp names what an environment was made from: unchanged files mean nothing to install.
$(VENV)/.installed-base: pyproject.toml constraints.txt scripts/set_up.sh
	@scripts/set_up.sh "$(VENV)" base "$(PYTHON)"

$(VENV)/.installed-dev: pyproject.toml constraints.txt scripts/set_up.sh
	@scripts/set_up.sh "$(VENV)" dev "$(PYTHON)"

# A compiled kernel is cached beside its own file and does not see that one it calls has changed.
$(VENV)/.kernels: $(shell grep -rl --include='*.py' '@nb\.njit' src)
	@mkdir -p $(VENV)
	find src -name '*.nb[ic]' -delete
	touch $@

run: $(VENV)/.installed-base $(VENV)/.kernels ## a demo shop, or your own: make run DATA=orders.parquet MAPPING=online-retail
	@exec $(BIN)/habitue demo $(if $(DATA),--data "$(DATA)") $(if $(MAPPING),--mapping "$(MAPPING)") \
	  $(if $(HOST),--host "$(HOST)") $(if $(PORT),--port "$(PORT)")

check: $(VENV)/.installed-dev ## format, lint, types, direction of imports
	@$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }

test: check $(VENV)/.kernels ## everything a commit must pass (HABITUE_REQUIRE_ALL=1: nothing may be skipped)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -q $(TESTS)

bench: $(VENV)/.installed-dev $(VENV)/.kernels ## every benchmark, one after another; figures to stdout
	@failed=
	for script in $$(grep -l '^if __name__ == .__main__.' benchmarks/*.py); do
	  printf '\n== %s\n' "$$script"
	  PYTHONPATH=. $(BIN)/python "$$script" || failed="$$failed $$script"
	done
	[ -z "$$failed" ] || { echo "failed:$$failed" >&2; exit 1; }

docs: $(VENV)/.installed-dev ## the documentation, into docs/_build/html; warnings are errors
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	echo "docs/_build/html/index.html"

clean: ## what can be made again; never var/, where shops live
	@rm -rf $(VENV) docs/_build build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
