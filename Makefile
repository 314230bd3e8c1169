# What one can do here: `make` alone prints it.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3# makes the environment; everything else runs on the one inside it
OUT ?= demo
PORT ?= 8050
SERVE ?= 1
ARGS ?=

bin := .venv/bin
stamp := .venv/.stamp

# Two workers on two cores: a second BLAS thread in each only makes them wait for one another.
test test-kernels bench: export OMP_NUM_THREADS := 1
test test-kernels bench: export OPENBLAS_NUM_THREADS := 1
test test-kernels bench: export MKL_NUM_THREADS := 1

.PHONY: help setup demo test test-all test-kernels lint types app bench clean links chromium chromium-if-possible

help:
	@echo "make demo    train small networks, dissect them, draw the figures, serve the explorer"
	@echo "             SERVE=0: do not serve it  OUT=demo: the folder   PORT=8050"
	@echo "make app     serve the explorer             ARGS=... go to 'rnnscope app'"
	@echo "make test    run the tests                  ARGS=... go to pytest, e.g. ARGS=tests/tasks"
	@echo "make test-all      the tests, then those under every kernel"
	@echo "make test-kernels  the tests under every BLAS and SIMD kernel that this processor can run"
	@echo "make lint    ruff: rules and layout"
	@echo "make types   basedpyright"
	@echo "make bench   run the benchmarks             ARGS=benchmarks/tasks.py: that one alone"
	@echo "make clean   remove the environment and the caches (runs and demo stay)"
	@echo "The first of them builds .venv (some minutes) with PYTHON=python3, which has to be 3.11 or newer."

demo: setup chromium-if-possible
	@$(bin)/rnnscope demo --out "$(OUT)" --port "$(PORT)" $(if $(filter 0,$(SERVE)),--no-serve)

app: setup
	@$(bin)/rnnscope app $(ARGS)

test: setup chromium
	@$(bin)/python -m pytest -n 2 $(ARGS)

# What takes too long for every change.
test-all: test test-kernels

test-kernels: setup chromium
	@$(bin)/python tests/kernels.py $(ARGS)

lint: setup
	@$(bin)/ruff check .
	@$(bin)/ruff format --check .

types: setup
	@$(bin)/basedpyright --level error --pythonpath $(bin)/python

bench: setup
	@for file in $(or $(ARGS),benchmarks/*.py); do echo "== $$file"; $(bin)/python "$$file"; done

clean:
	@rm -rf .venv .links build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	@find rnnscope tasks analyses experiments app tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} +

# --- the environment -------------------------------------------------------------------------------------------

setup: $(stamp) links

# pip's hundreds of lines go to a log; its progress is told in a few. setuptools comes first, in the release that
# constraints.txt names, because an isolated build would fetch the newest instead. Byte code is made afterwards, on two
# cores and without the packages' own tests; a file of theirs that does not compile is not our concern.
$(stamp): pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null || { echo "make: no $(PYTHON) found: name a Python 3.11 or newer, make PYTHON=..."; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: rnnscope needs Python 3.11 or newer, $(PYTHON) is $$("$(PYTHON)" -V 2>&1): name another, make PYTHON=..."; exit 1; }
	@$(bin)/python -m pip --version >/dev/null 2>&1 || { \
		echo "Making .venv with $$("$(PYTHON)" -V)"; "$(PYTHON)" -m venv --clear .venv; }
	@echo "Installing what pyproject.toml asks for, in the versions of constraints.txt (some minutes the first time)"
	@export PYTHONUNBUFFERED=1; n=0; \
	pip="$(bin)/python -m pip install --no-compile --progress-bar off -c constraints.txt"; \
	{ $$pip setuptools && $$pip --no-build-isolation -e ".[dev]"; } 2>&1 \
	| tee .venv/setup.log \
	| while IFS= read -r line; do case "$$line" in \
		Collecting*) n=$$((n + 1)); if (( n % 25 == 0 )); then echo "  $$n packages found"; fi ;; \
		"Installing collected packages: setuptools") ;; \
		"Installing collected packages:"*) echo "  installing (a minute or two)" ;; \
	  esac; done \
	|| { tail -n 15 .venv/setup.log; echo "make: the installation failed; all of pip's lines are in .venv/setup.log"; exit 1; }
	@echo "  compiling"; $(bin)/python -m compileall -q -j 2 -x '/(tests|_internal)/' .venv/lib >/dev/null 2>&1 || true
	@touch $@

# Static tools cannot follow package-dir, so they get a tree that looks like the installed package.
links:
	@mkdir -p .links/rnnscope
	@for entry in rnnscope/* tasks analyses experiments app; do \
		case "$$entry" in */__pycache__) ;; *) ln -sfn "../../$$entry" ".links/rnnscope/$${entry##*/}" ;; esac; done
	@for link in .links/rnnscope/*; do [ -e "$$link" ] || rm -f "$$link"; done

# --- the browser that exports figures and runs the explorer's tests ---------------------------------------------

has_chromium = command -v chromium chromium-browser google-chrome >/dev/null
as_root = $(if $(filter 0,$(shell id -u)),,sudo -n)
apt_chromium = command -v apt-get >/dev/null && echo "No Chromium found: installing Debian's" \
	&& { $(as_root) apt-get update -qq >/dev/null 2>&1 </dev/null || true; } \
	&& $(as_root) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null 2>&1 </dev/null

chromium:
	@$(has_chromium) || { $(apt_chromium); } \
		|| { echo "make: the tests need a browser: install chromium or google-chrome (none found, and apt-get could not)"; exit 1; }

chromium-if-possible:
	@$(has_chromium) || { $(apt_chromium); } \
		|| echo "No Chromium, and apt-get could not install it: figures are written as HTML only."
