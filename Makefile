# hardy: `make help` lists the targets.
#
# Two builds that never mix:
#   .venv       the release build, what `pip install .` gives: make demo
#   .venv-test  the build with failpoints, and the tools that tests and lint need: make test, check, crash
# Each holds an installed copy of hardy (nothing is imported from src/), and the objects of each lie in
# their own half of build/ (see setup.py). The tests refuse to run on a build without failpoints.
# A stamp file in each environment says when it was last made; it is made again when a source is newer.

PYTHON ?= python3
VENV ?= .venv
VENV_TEST ?= .venv-test
# Test processes at a time, and seconds until a folder of tests is taken for hung.
JOBS ?= 2
LIMIT_S ?= 1200
# More for pytest, as in: make test-only ARGS="-k lock"
ARGS ?=

# Part of the stamps' names, so that another PYTHON makes the environment anew.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
INSTALLED := $(VENV)/.installed-$(VERSION)
PEERS := $(VENV)/.peers-$(VERSION)
BLIND := $(VENV)/.blind-$(VERSION)
INSTALLED_TEST := $(VENV_TEST)/.installed-$(VERSION)
TOOLS_TEST := $(VENV_TEST)/.tools-$(VERSION)

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

SOURCES := $(shell find src -name '*.py' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pyi' -o -name '*.h' -o -name '*.c') \
	pyproject.toml setup.py MANIFEST.in
# A removed file is newer than nothing: the folders' own times tell of it.
SOURCES += $(shell find src -type d -not -name '__pycache__' -not -name '*.egg-info')
STUBS := $(patsubst src/hardy/_core/%.pyi,hardy._core.%,$(wildcard src/hardy/_core/*.pyi))

.PHONY: help demo build bench deaths chaos soak test test-only test-all check conformance crash pool-kills transfer-cuts \
	aimed mutants sanitize coverage clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## build and install the release in .venv, and run the main job
	$(VENV)/bin/hardy demo

build: $(INSTALLED) ## build and install the release in .venv

bench: $(INSTALLED) $(PEERS) $(BLIND) ## speed of the release beside the stdlib, faster-fifo and pyzmq; writes docs/en/benchmarks.md
	HARDY_BENCH_BLIND=$(CURDIR)/$(VENV)/blind $(VENV)/bin/python -m bench $(ARGS)

deaths: $(INSTALLED) $(PEERS) ## what a killed worker, or program, costs a pool's user: hardy beside its peers (two minutes)
	$(VENV)/bin/python -m bench.deaths $(ARGS)

# SECONDS is a variable of bash too, hence by make alone. ROUND=12: only that round of the seed. PEER=all, or one of
# mp, faster-fifo, mp-pool, futures, loky, pebble. WRITE=1 puts the table, peers and all, into docs/en/proof.md.
SECONDS := 300
SEED :=
ROUND :=
PEER :=
WRITE :=
chaos: $(INSTALLED) ## random kills over all that hardy shares, five minutes (SECONDS=1800 SEED=7; PEER=all; WRITE=1)
	$(if $(PEER)$(WRITE),$(VENV)/bin/python -m pip install -q -r chaos/requirements.txt)
	$(VENV)/bin/python -m chaos --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(if $(ROUND),--round $(ROUND)) \
		$(if $(PEER),--kit $(PEER)) $(if $(WRITE),--peers --write docs/en/proof.md) $(ARGS)

soak: $(INSTALLED) ## work under kills for hours, and see that memory, descriptors and rates stay flat (SECONDS=28800)
	$(VENV)/bin/python -m chaos.soak --seconds $(SECONDS) $(ARGS)

test: check test-only ## lint, types and every test, on the build with failpoints

test-only: $(INSTALLED_TEST) ## every test, without lint and types (ARGS="-k lock" for some)
	$(VENV_TEST)/bin/python tools/run_tests.py --jobs $(JOBS) --limit-s $(LIMIT_S) -- $(ARGS)

test-all: check ## every test on each Python from 3.10 to 3.13 that is installed
	tools/test_all.sh $(VENV_TEST)

crash: $(INSTALLED_TEST) ## only the crash tests: a kill at each failpoint
	$(VENV_TEST)/bin/python tools/run_tests.py --limit-s $(LIMIT_S) --only tests/crash -- $(ARGS)

aimed: $(INSTALLED) $(INSTALLED_TEST) ## a kill after every instruction of every operation, on both builds (ARGS="PutLarge")
	$(VENV)/bin/python tools/aimed.py $(ARGS)
	$(VENV_TEST)/bin/python tools/aimed.py $(ARGS)

mutants: $(TOOLS_TEST) ## break the core in over 60 places, and show which test notices (ARGS="--only lock", "--part 1/4")
	$(VENV_TEST)/bin/python tools/mutants.py $(ARGS)

sanitize: $(TOOLS_TEST) ## the core under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer
	$(VENV_TEST)/bin/python tools/sanitize.py

check: $(INSTALLED_TEST) ## lint, formatting, types, the direction of imports, spelling
	@status=0; \
	try() { echo "$$*"; "$$@" || status=1; }; \
	export PATH="$(CURDIR)/$(VENV_TEST)/bin:$$PATH"; \
	try ruff check .; \
	try ruff format --check .; \
	try env MYPYPATH=src mypy --strict src/hardy; \
	$(if $(STUBS),try stubtest --ignore-disjoint-bases --allowlist tools/stubtest_allowlist.txt --ignore-unused-allowlist $(STUBS);) \
	try env PYTHONPATH=src lint-imports; \
	try codespell; \
	try cython-lint src; \
	exit $$status

conformance: $(INSTALLED_TEST) ## CPython's own tests of multiprocessing and executors, on hardy and on the stdlib (ARGS="--match Queue")
	$(VENV_TEST)/bin/python tools/conformance.py $(ARGS)

pool-kills: $(INSTALLED_TEST) ## 10,000 tasks of a pool while 500 of its workers are killed
	HARDY_POOL_KILLS=500 $(VENV_TEST)/bin/python -m pytest -q tests/crash/test_pool_crash.py -k all_the_time

# SEED=3 for other bytes, instants and kills. ARGS="-k sparse" for a part.
transfer-cuts: $(INSTALLED_TEST) ## files up and down: 1,000 interruptions each, kills of either side, 4 GiB of zeros (SEED=3)
	HARDY_TRANSFER_CUTS=1000 HARDY_TRANSFER_SPARSE_MIB=4096 $(if $(SEED),HARDY_TRANSFER_SEED=$(SEED)) \
		$(VENV_TEST)/bin/python -m pytest -q -s tests/apps/test_transfer_cuts.py $(ARGS)

coverage: $(INSTALLED_TEST) ## the tests under coverage (children that are killed report nothing)
	$(VENV_TEST)/bin/coverage erase
	$(VENV_TEST)/bin/python tools/run_tests.py --jobs $(JOBS) --limit-s $(LIMIT_S) --coverage -- $(ARGS)
	$(VENV_TEST)/bin/coverage combine -q
	$(VENV_TEST)/bin/coverage report

clean: ## remove the environments and all that was built
	rm -rf .venv .venv-test .venv-test-* build dist src/*.egg-info .coverage .coverage.*
	find src -name '*.so' -delete

$(INSTALLED): $(SOURCES)
	tools/bootstrap.sh "$(PYTHON)" $(VENV)
	env -u HARDY_FAILPOINTS -u HARDY_ONLY $(VENV)/bin/python -m pip install -q .
	@touch $@

$(PEERS): $(INSTALLED) bench/requirements.txt
	$(VENV)/bin/python -m pip install -q -r bench/requirements.txt
	@touch $@

# The release without trace hooks and wait rows, for one table of the bench; nothing else uses it.
$(BLIND): $(INSTALLED)
	env -u HARDY_FAILPOINTS -u HARDY_ONLY HARDY_BLIND=1 \
		$(VENV)/bin/python -m pip install -q --no-deps --upgrade --target $(VENV)/blind .
	@touch $@

$(INSTALLED_TEST): $(TOOLS_TEST) $(SOURCES)
	env -u HARDY_ONLY HARDY_FAILPOINTS=1 $(VENV_TEST)/bin/python -m pip install -q --no-build-isolation .
	@touch $@

$(TOOLS_TEST): pyproject.toml tools/bootstrap.sh
	tools/bootstrap.sh "$(PYTHON)" $(VENV_TEST)
	$(VENV_TEST)/bin/python -m pip install -q --upgrade "pip>=25.1"
	$(VENV_TEST)/bin/python -m pip install -q --group dev
	@$(VENV_TEST)/bin/python -m pip install -q --group torch 2>/dev/null || echo "the tests with torch are skipped: its \
	CPU build is not in the package index; for PyTorch's own: make test PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu"
	@touch $@
