# Every target sets up what it needs: a machine with python3 (3.11 or newer) and make is enough.
# To use another Python: make test PYTHON=python3.13

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip
INSTALL := $(PIP) install --quiet --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check fuzz docs reference pictures serve wheel clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile

demo: .venv/.demo  ## train a small swapper on toy faces, write ./demo
	$(BIN)/condswap demo

test: .venv/.dev  ## run the tests
	$(BIN)/python -m pytest

check: .venv/.dev  ## lint, format and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict

# More inputs for what is quick to read: a million in all.
FUZZ ?= pickle:500000 jpeg_segments:300000 dfl_pak:150000 dfl_face:40000 picture:40000 marks:40000 config:5000 packed:2000 \
	config_file:1000 state:500

fuzz: .venv/.fuzz  ## fuzz all that reads files, guided by coverage (ten minutes)
	for pair in $(FUZZ); do \
		$(BIN)/python tests/fuzz_guided.py $${pair%:*} -runs=$${pair#*:} -verbosity=0 -print_final_stats=1 || exit 1; done

docs: .venv/.docs  ## build the documentation in ./site
	@# no --quiet: it drops the warnings before --strict counts them
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

reference: .venv/.dev  ## write docs/reference/command_line.md from the command line itself
	$(BIN)/python docs/command_line.py

pictures: .venv/.demo  ## draw the pictures of the documentation anew (a quarter of an hour)
	$(BIN)/python docs/pictures.py

serve: .venv/.docs  ## show the documentation on http://127.0.0.1:8000
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

wheel: .venv/.dev  ## build the sdist and the wheel in ./dist
	rm -rf dist
	$(BIN)/python -m build

clean:  ## remove all that the other targets made, but not ./demo
	rm -rf .venv dist site .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp for each extra: written when the installation is complete, old when what is to be installed has changed.
.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "condswap needs Python 3.11 or newer and $(PYTHON) is %d.%d; name another one: make PYTHON=python3.13 ..." % sys.version_info[:2])'
	@echo "Making a virtual environment in .venv"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.demo .venv/.dev .venv/.docs .venv/.fuzz: .venv/.created pyproject.toml constraints.txt
	@echo "Installing condswap[$(subst .venv/.,,$@)] in .venv (PyTorch is large: the first time takes minutes)"
	@$(INSTALL) --editable '.[$(subst .venv/.,,$@)]'
	@touch $@
