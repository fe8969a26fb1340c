# Everything a developer runs. `make` alone says what there is.
#   ARGS=...    is handed on to the command of run, test, lab, bench, chaos and lock
#   PYTHON=...  is the interpreter to build the environment with (3.11 or later)

# bash, because set-up pipes pip through a progress line and must still see pip fail.
SHELL := bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
RUN_READY := $(VENV)/.ready-run
DEV_READY := $(VENV)/.ready-dev
PIP := $(BIN)/python -m pip install --no-input --disable-pip-version-check

# An environment that lost its interpreter, or moved with its folder, is built anew: the path of
# the folder is written into every script in it.
SOUND := $(shell test -x $(BIN)/python && grep -qsF " $$(pwd -P)/$(VENV)" $(VENV)/pyvenv.cfg && echo yes)

# Candidates are run, not only looked up: a version manager's shim may exist and yet fail.
define create_venv
set -e; \
if [ -n "$(PYTHON)" ]; then set -- "$(PYTHON)"; \
else set -- python3 python3.14 python3.13 python3.12 python3.11; fi; \
found=; bare=; \
for python; do \
  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
  if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then found=$$python; break; fi; \
  bare=$${bare:-$$python}; \
done; \
if [ -z "$$found" ] && [ -n "$$bare" ]; then \
  echo "auditstream: $$bare cannot make environments (no venv or ensurepip module);" \
    "on Debian and Ubuntu the package python3-venv holds it" >&2; exit 1; \
elif [ -z "$$found" ]; then \
  echo "auditstream: needs Python 3.11 or later, tried: $$*; name one with make PYTHON=/path/to/python" >&2; exit 1; \
fi; \
echo "Creating $(VENV) with $$("$$found" --version)"; \
rm -rf $(VENV); "$$found" -m venv $(VENV)
endef

# $(call install,LOCK): what the lock holds, at the locked versions and hashes and nothing else.
# pip says five lines a package, or with -q nothing for a minute; this says one that moves, or one
# in ten where the output is no terminal.
define install
set -e -o pipefail; \
echo "Installing $(1)"; \
total=$$(grep -c '^[a-z].*==' $(1)); \
$(PIP) --progress-bar off --require-hashes -r $(1) | { n=0; \
  while read -r verb name rest; do \
    case $$verb in \
      Collecting|Ignoring) n=$$((n + 1)) ;; \
      Requirement) n=$$((n + 1)); name=$$(set -- $$rest; echo "$$2") ;; \
      Downloading|Building|Installing) name="$$verb $$name" ;; \
      *) continue ;; \
    esac; \
    if [ -t 1 ]; then printf '\r\033[K  %d/%d  %.60s' "$$n" "$$total" "$${name%:}"; \
    elif [ $$((n % 10)) -eq 0 ] && [ "$$n" != "$${said:-0}" ]; then said=$$n; echo "  $$n/$$total"; fi; \
  done; \
  if [ -t 1 ]; then printf '\r\033[K'; fi; }
endef

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: $(RUN_READY) ## Start auditstream (its options go into ARGS="...")
	@$(BIN)/auditstream run $(ARGS)

.PHONY: test
test: $(DEV_READY) ## Run all tests, those against real servers too
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: check
check: $(DEV_READY) ## Check formatting, lint, types, import rules and lock files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports --no-logo
	@! grep -nE '://|--(extra-)?index-url|--find-links|--trusted-host|(^|[ =])/|@ ' requirements/*.lock \
	  || { echo 'lock files must name no host and no path of a machine' >&2; exit 1; }

.PHONY: lab
lab: $(DEV_READY) ## Play the incident on real servers of its own (ARGS=--keep: look around)
	@$(BIN)/auditstream lab $(ARGS)

.PHONY: bench
bench: $(DEV_READY) ## Measure throughput and cost per event
	@$(BIN)/python -m tests.benchmarks $(ARGS)

.PHONY: chaos
chaos: $(DEV_READY) ## Kill runs at random moments, and check that nothing is lost or told twice
	@$(BIN)/python -m tests.chaos $(ARGS)

LOCK := $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' $(ARGS)

.PHONY: lock
lock: $(DEV_READY) ## Bring the lock files up to pyproject.toml (newest versions: ARGS=--upgrade)
	@# The build backend is part of what runs: an editable install then needs nothing unlocked.
	@echo hatchling | $(LOCK) pyproject.toml - -o requirements/run.lock > /dev/null
	@$(LOCK) --extra dev -c requirements/run.lock pyproject.toml -o requirements/dev.lock > /dev/null
	@echo 'Wrote requirements/run.lock and requirements/dev.lock'

.PHONY: clean
clean: ## Remove the environment and all that tools have written
	@rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: .unsound
.unsound:
	@$(create_venv)

$(RUN_READY): pyproject.toml requirements/run.lock $(if $(SOUND),,.unsound)
	@$(call install,requirements/run.lock)
	@$(PIP) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# After the other and never beside it: two pips in one environment tear it.
$(DEV_READY): requirements/dev.lock $(RUN_READY)
	@$(call install,requirements/dev.lock)
	@touch $@
