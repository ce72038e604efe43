# Each target does all of its own set-up; a repeat costs nothing. PYTHON=… picks an interpreter, VENV=… another place.
VENV ?= .venv
SETUP = VENV=$(VENV) sh .ci/setup
RUN = $(VENV)/bin/

.PHONY: help soak-watch demo test check bench docs clean
help:
	@echo "make demo    see a spec validated, planned, applied and evaluated against an emulated Nucleus"
	@echo "make test    run all tests"
	@echo "make check   formatting, lint, types, import rules"
	@echo "make bench   ratios to the official SDK (ARGS=--help says what can be chosen; an hour by default)"
	@echo "make soak    kill, break and race it for SECONDS (default 600), then every crash point and fault once"
	@echo "make soak-watch  a watcher's life for SECONDS (default 3600): memory, files and threads while files come and go"
	@echo "make fuzz    broken files for SECONDS (default 300)"
	@echo "make docs    write the generated parts of README.md anew"
	@echo "make clean   remove the virtual environment and what the demo wrote"

demo: $(VENV)/.has-demo
	@$(RUN)nucleus-sync demo .demo

test: $(VENV)/.has-test
	@$(RUN)pytest -n auto $(ARGS)

check: $(VENV)/.has-dev $(VENV)/.has-test
	@$(RUN)ruff format --check .
	@$(RUN)ruff check .
	@$(RUN)mypy
	@$(RUN)pytest tests/test_imports.py

bench: $(VENV)/.has-test
	@$(RUN)python -m benchmarks $(ARGS)

docs: $(VENV)/.has-test
	@NUCLEUS_SYNC_WRITE_DOCS=1 $(RUN)pytest tests/docs $(ARGS)

# SEED=… tells the same stories again; the crash matrix and the faults take some minutes more.
soak: $(VENV)/.has-test
	@$(RUN)python tests/simulation/soak.py $(or $(SECONDS),600) $(SEED)
	@NUCLEUS_SYNC_SOAK=1 $(RUN)pytest -n auto --timeout 600 tests/crash tests/races tests/simulation $(ARGS)

soak-watch: $(VENV)/.has-test
	@$(RUN)python -m benchmarks.soak_watch $(or $(SECONDS),3600)

fuzz: $(VENV)/.has-test
	@$(RUN)python tests/fuzz/soak.py $(or $(SECONDS),300) $(SEED)

clean:
	rm -rf $(VENV) .tools .demo

# One stamp per group of dependencies, so that the demo installs no test tools.
$(VENV)/.has-%: pyproject.toml constraints.txt .ci/setup
	@$(SETUP) $*
	@touch $@
