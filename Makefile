# `make` says what can be made.  Variables: PYTHON=python3.12, SCENARIO="default nfs", HOST=server, LAB=docker,
# NAME=registry.example.org/mlflow, BASE=debian-with-python.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Two ansible-tests at once trip over each other's virtualenvs.
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory --no-builtin-rules

PYTHON ?= python3
VENV := .venv
NEWEST := .venv-newest
COLLECTION := .cache/collections/ansible_collections/selfhosted/mlflow
FETCHED := .cache/collections/fetched.txt
DIST := .cache/dist

# Without what Python keeps of its compiling, each of some thousand processes would compile Ansible anew.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.cache/collections
# Nothing is looked for, or installed, beside what the locks list.
export ANSIBLE_LINT_NODEPS := 1
export MOLECULE_GLOB := molecule/*/molecule.yml
demo = PYTHONPATH=molecule $(VENV)/bin/python -m lab.demo $(if $(LAB),--lab $(LAB))

.PHONY: help venv demo demo-down demo-ssh image test test-all lint yamllint ruff mypy antsibull-changelog ansible-lint \
    unit sanity ansible-test antsibull-docs importer newest molecule bench bench-upgrade bench-stores \
    build changelog locks

help: ## Show what can be made
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | while IFS=$$'\t' read -r name text; do \
	  printf '  make %-12s %s\n' "$$name" "$$text"; done

# --- environments ------------------------------------------------------------

$(VENV)/.demo: requirements/demo.txt requirements/uv.txt tools/bootstrap.py
	@echo "installing requirements/demo.txt into $(VENV)"
	@$(PYTHON) tools/bootstrap.py $(VENV) requirements/demo.txt
	@touch $@

$(VENV)/.test: requirements/test.txt requirements/uv.txt tools/bootstrap.py
	@echo "installing requirements/test.txt into $(VENV)"
	@$(PYTHON) tools/bootstrap.py $(VENV) requirements/test.txt --exact
	@touch $@

$(FETCHED): requirements/collections.txt tools/fetch_collections.py | $(VENV)/.demo
	@$(VENV)/bin/python -m tools.fetch_collections
	@touch $@

$(COLLECTION): | $(VENV)/.demo
	@$(VENV)/bin/python -m tools.stage link >/dev/null

venv: $(VENV)/.test $(FETCHED) ## Make .venv with all the tools, from the locked requirements

# $(call with_newest,COMMAND) runs COMMAND after making an environment with the newest ansible-core.
define with_newest
@if python=$$($(VENV)/bin/python -m tools.pythons 3.12 3.14); then \
  "$$python" tools/bootstrap.py $(NEWEST) requirements/newest.txt --exact; $(1); \
else echo "skipped: the newest ansible-core wants Python 3.12 to 3.14, and none is installed here"; fi
endef

# --- the demo ----------------------------------------------------------------

demo: $(VENV)/.demo $(if $(filter docker,$(LAB)),$(FETCHED)) | $(COLLECTION) ## Deploy on three throwaway hosts and prove it (LAB=docker: without a kernel of their own)
	@$(demo) up

demo-down: $(VENV)/.demo ## Remove everything the demo made
	@$(demo) down

demo-ssh: $(VENV)/.demo ## Log in to a host of the demo: HOST=nas, server or client
	@$(demo) ssh $(or $(HOST),$(error say which: make demo-ssh HOST=server))

# --- the image ---------------------------------------------------------------

image: $(VENV)/.demo | $(COLLECTION) ## Build the container image (NAME=registry/mlflow: push it too, BASE=…: on another base)
	@PYTHONPATH=molecule $(VENV)/bin/python -m lab docker-ready $(BASE)
	@ansible-playbook playbooks/image.yml $(if $(NAME),--extra-vars mlflow_image_name=$(NAME)) \
	  $(if $(BASE),--extra-vars mlflow_image_base=$(BASE))

# --- the tests ----------------------------------------------------------------

PARTS := tests/gate tests/unit tests/integration tests/scenarios
test: venv ## What each change must pass: lint, sanity, unit and integration tests, scenarios
	pytest --durations=20 $(PARTS)

test-all: venv ## All of it, with what takes long, as before a release
	pytest --durations=0 --durations-min=5 --long $(PARTS)

LINTERS := yamllint ruff mypy antsibull-changelog ansible-lint
lint: $(LINTERS) ## Style and types of everything, offline (make -k lint: all that is wrong)

yamllint: venv
	yamllint --strict .

ruff: venv
	ruff check --quiet
	ruff format --check --quiet

mypy: venv
	mypy $(COLLECTION)/plugins tools molecule tests $(wildcard bench)
	mypy roles/mlflow_server/files/mlflow-database
	mypy roles/mlflow_backup/files/mlflow-backup

antsibull-changelog: venv
	antsibull-changelog lint

ansible-lint: venv
	ansible-lint --offline

unit: venv ## Unit tests, for which no host is needed
	pytest tests/unit

sanity: ansible-test antsibull-docs importer ## ansible-test sanity, documentation, Galaxy's importer

ansible-test: venv
	python -m tools.sanity $(VENV) 3.9

antsibull-docs: venv
	antsibull-docs lint-collection-docs --plugin-docs .

newest: venv ## Sanity and unit tests with the newest ansible-core, where its Python is installed
	$(call with_newest,python -m tools.sanity $(NEWEST) && $(NEWEST)/bin/python -m pytest tests/unit)

importer: build ## Import the built tarball as Galaxy would
	python -m galaxy_importer.main $(DIST)/selfhosted-mlflow-*.tar.gz | tee $(DIST)/importer.log
	@! grep '^WARNING' $(DIST)/importer.log

molecule: venv ## Molecule scenarios: those of `make test`, or SCENARIO="default nfs"
	pytest tests/scenarios --durations=0 $(addprefix --scenario=,$(SCENARIO))

bench: venv ## Measure against plain alternatives; results go to bench/
	PYTHONPATH=.:molecule $(VENV)/bin/python -m bench

bench-upgrade: venv | $(COLLECTION) ## Measure how long a server is away while it is upgraded, on this machine
	PYTHONPATH=.:molecule:$(ANSIBLE_COLLECTIONS_PATH) $(VENV)/bin/python -m bench.upgrade

STORES = $(if $(MB),--megabytes $(MB)) $(if $(FILES),--files $(FILES)) $(if $(ROUNDS),--rounds $(ROUNDS))
bench-stores: venv | $(COLLECTION) ## Measure the ways to a store of artifacts, with NFS and on this machine (MB= FILES= ROUNDS=)
	PYTHONPATH=.:molecule $(VENV)/bin/python -m bench.throughput_lab $(STORES)
	PYTHONPATH=.:molecule $(VENV)/bin/python -m bench.throughput --record bench/throughput $(STORES)

# --- releases ----------------------------------------------------------------

build: venv ## Build the tarball from what git would commit
	@rm -rf $(DIST)
	ansible-galaxy collection build --output-path $(DIST) "$$(python -m tools.stage copy)"

changelog: venv ## Bring CHANGELOG.md of the version in galaxy.yml up to date
	antsibull-changelog release --update-existing --reload-plugins

LOCK := uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --upgrade
locks: venv ## Lock the requirements of the roles and of these tools anew
	python tools/locks.py
	$(LOCK) --python-version 3.11 requirements/test.in --output-file requirements/test.txt
	$(LOCK) --python-version 3.11 --constraints requirements/test.txt requirements/demo.in \
	  --output-file requirements/demo.txt
	$(LOCK) --python-version 3.11 --constraints requirements/test.txt requirements/uv.in \
	  --output-file requirements/uv.txt
	$(LOCK) --python-version 3.11 --no-deps requirements/collections.in \
	  --output-file requirements/collections.txt
	$(LOCK) --python-version 3.12 requirements/newest.in --output-file requirements/newest.txt
