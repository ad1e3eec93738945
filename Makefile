# `make help` lists the targets. Each sets up what it needs: a virtual environment in .venv with the
# locked requirements, and this checkout installed in it.

PYTHON ?= python3.13 python3.12 python3.11 python3# candidates, the first that fits is taken
BIN := .venv/bin
JOBS ?= 2# files that are tested side by side
NBVAL ?= --nbval# --nbval-lax runs the notebooks and compares nothing: for other versions of packages
SOLUTIONS ?= yes
ifeq ($(filter yes no,$(SOLUTIONS)),)
  $(error SOLUTIONS=$(SOLUTIONS): say yes or no)
endif
SOURCE := $(if $(filter no,$(SOLUTIONS)),_build/without_solutions,.)# what the book is built from
READY := .venv/.ready
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))

.PHONY: help venv test book pdf slides links lab execute samples bench lint lock address clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

venv: $(READY) ## the environment in .venv (PYTHON=python3.11 chooses the Python)

$(READY): requirements.txt pyproject.toml
	@if ! $(BIN)/python -c '$(SUPPORTED)' 2>/dev/null; then \
	  for python in $(PYTHON); do \
	    if $$python -c '$(SUPPORTED)' 2>/dev/null; then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "make: no Python 3.11, 3.12 or 3.13 found (tried: $(PYTHON)); install one, or say make PYTHON=/path/to/python" >&2; exit 1; \
	  fi; \
	  if ! $$found -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "make: $$found lacks its venv module; install it (Debian: apt install python3-venv)" >&2; exit 1; \
	  fi; \
	  $$found -m venv --clear .venv; \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

# The notebooks' references are made on the CPU; a GPU's figures differ in their last digits.
test book links execute samples bench: export CUDA_VISIBLE_DEVICES := -1
test book links execute samples bench: export TF_CPP_MIN_LOG_LEVEL := 3

test: $(READY) ## unit tests, the pages in a browser, then every notebook against its stored outputs
	$(BIN)/python -m pytest $(NBVAL) -n $(JOBS) --dist loadfile --no-loadscope-reorder --quiet -rs \
	  --durations=20

book: $(READY) ## the book from the committed notebooks, in _build/html/index.html (SOLUTIONS=no: without solutions)
	rm -rf _build
ifeq ($(SOLUTIONS),no)
	$(BIN)/python book/without_solutions.py $(SOURCE)
endif
	$(BIN)/jupyter-book build $(SOURCE) --path-output . --warningiserror --nitpick --keep-going
	$(BIN)/python book/check_pages.py _build/html

pdf: book ## the same as one PDF, in _build/book.pdf, links and all (needs Chromium)
	$(BIN)/python book/pdf.py _build/html _build/book.pdf

slides: book ## slides of the book for each session of a course, in _build/html/slides/index.html
	$(BIN)/python book/slides.py _build/html
	$(BIN)/python book/check_pages.py _build/html

links: $(READY) ## whether the pages that the book links to are there (exceptions: _config.yml)
	$(BIN)/jupyter-book build . --builder linkcheck --quiet --path-output _build/links

lab: $(READY) ## JupyterLab on the book
	$(BIN)/jupyter lab --notebook-dir=book

execute: $(READY) ## re-run the notebooks in place (NB="book/a.ipynb ..." for some)
	$(BIN)/python book/execute.py $(NB)

samples: $(READY) ## the gallery, data/samples, from the published models
	$(BIN)/python -m cvae.gallery

bench: $(READY) ## speed of training and sampling
	@$(BIN)/python tests/bench.py

lint: $(READY) ## ruff: style, imports, likely mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lock: $(READY) ## requirements.txt from pyproject.toml (UPGRADE=--upgrade for the newest)
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	  --all-extras --no-annotate --no-emit-index-url --no-emit-find-links $(UPGRADE) \
	  pyproject.toml --output-file requirements.txt

address: ## the repository's address into _config.yml and the notebooks' first cells (URL=https://github.com/OWNER/NAME)
	@$(lastword $(PYTHON)) book/address.py "$$URL"

clean: ## remove builds and caches (not .venv)
	rm -rf _build dist .pytest_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -print | xargs rm -rf
