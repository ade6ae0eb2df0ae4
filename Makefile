# Every target works on a fresh clone with Python >= 3.11 and make: `.venv` is made from constraints.txt,
# and again only when the requirements have changed.

# The first interpreter that runs and is new enough: a shim may be on the path and name none.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$name && break; done)
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help install quickstart demo serve test check clean

help:
	@echo "make quickstart   fine-tune, score and report all five tasks, then open the demo (ARGS=--no-demo stops before)"
	@echo "make demo         open the pages"
	@echo "make serve        the HTTP service without pages"
	@echo "make install      only what the others need"
	@echo "make test         lint, types, import rules and all tests"
	@echo "make check        lint, types and import rules only"

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Quintet needs Python 3.11 or newer; name one with PYTHON=" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	# Kernels are compiled for this processor.
	$(BIN)/python -c "import quintet; [quintet.load('qa', backbone='mini', dtype=one).engine.warm() for one in ('fp32', 'bf16', 'int8')]"
	touch $(READY)

quickstart: $(READY)
	@$(BIN)/quintet backbone get smollm2 --or-fall-back
	$(BIN)/quintet quickstart $(ARGS)

demo: $(READY)
	@$(BIN)/quintet backbone get smollm2 --or-fall-back
	$(BIN)/quintet demo $(ARGS)

serve: $(READY)
	@$(BIN)/quintet backbone get smollm2 --or-fall-back
	$(BIN)/quintet serve $(ARGS)

install: $(READY)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: check
	$(BIN)/pytest $(ARGS)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build *.egg-info
