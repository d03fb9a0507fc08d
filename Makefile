# Everything a person does with this repository. `make demo` and `make test` set up whatever they need first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two at a time: the simulated boards keep a core busy each.
TEST_JOBS ?= 2
# Of the Python package's extras, those for working on it.
EXTRAS ?= dev
BOARD ?= uno
# Debian's and Arduino's, and what depends on them; each test of these folders runs with both.
COMPILERS ?= /usr/bin 7.3.0
COMPILED := tests/board tests/firmware tests/analysis/test_stack.py --ignore tests/board/test_other_compiler.py

C_FILES = $(shell find firmware tests tools/bench -path '*/build' -prune -o -type f \( -name '*.c' -o -name '*.h' -o -name '*.cpp' \) -print)
ASSEMBLY_HEADERS = $(addprefix %/,nn_avr_macros.h nn_avr_patch.h nn_avr_patch_call.h nn_avr_preconv.h nn_avr_sums24.h \
	wire_avr_crc.h)
# Rendered headers look as their templates say.
C_STYLED = $(filter-out firmware/model/% %/wire_ids.h $(ASSEMBLY_HEADERS),$(C_FILES))

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench soak clean system platformio compilers simboard

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: system $(BIN)/host platformio simboard  ## bring what is missing: system and Python packages, PlatformIO, simulator

demo: setup  ## train on real digits, build the Arduino firmware, run it on a simulated Uno, print the verdict
	@$(BIN)/host demo --board $(BOARD)

test: setup compilers  ## run every test (TEST_JOBS=2 at a time)
	@$(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadgroup $(PYTEST_ARGS)

check: setup  ## formatting, lint, types, rendered files up to date
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@clang-format --dry-run -Werror $(C_STYLED)
	@set -e; for tool in tools/render_*.py; do $(BIN)/python "$$tool" --check; done

format: setup  ## format Python and C, render the committed files anew
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .
	@clang-format -i $(C_STYLED)
	@set -e; for tool in tools/render_*.py; do $(BIN)/python "$$tool"; done

bench: setup  ## measure speed, sizes and cycles; takes minutes
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[dev,bench]'
	@set -e; for script in tools/bench_*.py; do test -f "$$script" || continue; $(BIN)/python "$$script"; done

soak: setup compilers  ## stream digits against injected faults (SOAK_ARGS), fuzz (FUZZ_ARGS), kill (KILL_ARGS), test both compilers
	@$(BIN)/python tools/soak.py $(SOAK_ARGS)
	@$(BIN)/python tools/fuzz.py $(FUZZ_ARGS)
	@$(BIN)/python tools/soak_kills.py $(KILL_ARGS)
	@set -e; for compiler in $(COMPILERS); do \
	DIGITDUINO_PROFILE_EVERY=1 DIGITDUINO_EVERY_BYTE=1 $(BIN)/python -m pytest -n $(TEST_JOBS) --dist loadgroup \
	--avr-gcc "$$compiler" $(COMPILED) $(PYTEST_ARGS); done

clean:  ## remove builds and caches, keep the virtual environment
	@rm -rf .pio dist build firmware/sim/build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	@find host tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

system:
	@PYTHON=$(PYTHON) sh tools/setup_system.sh

$(BIN)/host: pyproject.toml | system
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	{ echo "error: $(PYTHON): found $$($(PYTHON) -V), need Python 3.10; run \`make setup PYTHON=python3.11\`" >&2; exit 4; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing Python packages into $(VENV)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[$(EXTRAS)]'
	@touch $@

platformio: $(BIN)/host
	@$(BIN)/python tools/provision_platformio.py --if-needed

# Where it cannot be had its tests are left out, with the reason.
compilers: platformio
	@$(BIN)/python tools/provision_platformio.py --if-needed --avr-gcc || true

simboard: | system
	@test ! -f firmware/sim/Makefile || $(MAKE) --no-print-directory --silent -C firmware/sim
