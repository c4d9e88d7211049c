# Every target sets up what it needs by itself, in .venv: Python 3.11 or later, git and make are enough.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock'

# The interpreter of .venv: PYTHON=… on the command line or in the environment, else the first of these that will do.
PYTHON ?=
PYTHONS := $(if $(PYTHON),$(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python)

# Which build of PyTorch fits is for the machine to say, so it is no part of the hashed requirements that are installed;
# with TORCH='torch --index-url https://download.pytorch.org/whl/cpu' on Linux it comes without gigabytes for a GPU.
TORCH ?= $(shell sed -n 's/^\(torch==[^ ]*\).*/\1/p' requirements/tune.txt)

# What builds the container image: the one target that needs more than the above.
ENGINE ?= docker

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s%s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: $(VENV)/.local.stamp ## Write tests for a sample change with the embedded model (ARGS="--out DIR")
	@$(BIN)/llm-testgen demo $(ARGS)

.PHONY: test
test: $(VENV)/.dev.stamp ## Run the tests that need no model (ARGS="tests/stages -k name")
	@$(BIN)/python -m pytest -n auto -m 'not model and not soak' $(ARGS)

.PHONY: test-model
test-model: $(VENV)/.dev.stamp ## Run the tests that need the embedded model, which is downloaded once
	@$(BIN)/python -m pytest -m model $(ARGS)

.PHONY: test-soak
test-soak: $(VENV)/.dev.stamp ## Judge a thousand candidates in a row, and hundreds twice
	@$(BIN)/python -m pytest -m soak -s $(ARGS)

.PHONY: test-tune
test-tune: $(VENV)/.tune.stamp ## Run the tests of what tunes models, with PyTorch (TORCH="torch --index-url URL")
	@$(BIN)/python -m pytest -n auto -m 'not model' tests/tuning $(ARGS)

.PHONY: lint
lint: $(VENV)/.dev.stamp ## Check style, types, the workflows, the action and the Dockerfile
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy --exclude 'llm_testgen/(sample|tuning)/'
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(if $(wildcard action.yml),$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-actions action.yml)
	@$(BIN)/actionlint
	@$(BIN)/zizmor --offline --quiet .
	@$(BIN)/hadolint Dockerfile

.PHONY: lint-tune
lint-tune: $(VENV)/.tune.stamp ## Check the types of what tunes models, too
	@$(BIN)/mypy

.PHONY: check
check: lint test ## Everything that a change must pass

.PHONY: image
image: ## Build the container image (ENGINE=podman, ARGS="--target gpu --tag llm-testgen:gpu")
	@$(ENGINE) build $(or $(ARGS),--tag llm-testgen) .

.PHONY: bench-runner
bench-runner: $(VENV)/.base.stamp ## Measure what running a candidate costs, here and elsewhere (ARGS="--json FILE")
	@$(BIN)/llm-testgen bench runner $(ARGS)

.PHONY: bench-chain
bench-chain: $(VENV)/.base.stamp ## Judge recorded replies with each part of the chain switched on (ARGS="--json FILE")
	@mkdir -p docs
	@$(BIN)/llm-testgen bench chain --markdown docs/chain.md $(ARGS)

.PHONY: bench-index
bench-index: $(VENV)/.base.stamp ## Time the project index, and compare its calls with those really made (ARGS="--json FILE")
	@mkdir -p docs
	@$(BIN)/llm-testgen bench index --markdown docs/index.md $(ARGS)

.PHONY: bench-pull-requests
bench-pull-requests: $(VENV)/.local.stamp $(VENV)/.bench.stamp ## Ask the embedded model for tests for real changes, in all arms (ARGS="--most 20")
	@$(BIN)/llm-testgen bench pull-requests --ask $(ARGS)

# Replies that come along are those of two methods of each of 21 changes, and of one or two of each of 11 where they are
# many. The page of pull-requests comes last: it links those that are there.
SMALL := qwen2.5-coder-0.5b-instruct
RECORDED := --model $(SMALL) --model qwen2.5-coder-1.5b-instruct
RECORDED_WIDELY := models pull-requests
RECORDED_TWICE := examples
RECORDED_ONCE := temperature context comments language prefill
# Tuned models were asked about changes of projects that nothing was trained on; some, and quantised ones, about ten.
RECORDED_TUNED := $(SMALL) $(SMALL)+lora-mined $(SMALL)+lora-sampled qwen2.5-coder-1.5b-instruct
RECORDED_BRIEFLY_TUNED := $(SMALL) $(SMALL)+lora-7-steps $(SMALL)+adamole-7-steps
RECORDED_QUANTISED := $(SMALL) $(SMALL)-q8_0 $(SMALL)-q4_0
TEN := click-8.3.3 flask-3.0.3 jsonschema-4.19.2 packaging-26.0 pyparsing-3.2.5 marshmallow-4.0.1 mistune-3.0.2 \
	natsort-8.0.2 wcwidth-0.5.3 xmltodict-1.0.2
UNSEEN := arrow-1.0.3 arrow-1.2.3 click-8.3.3 flask-3.0.3 jsonschema-4.19.2 packaging-26.0 prettytable-3.12.0 \
	prettytable-3.16.0 pyparsing-3.2.5 pyparsing-3.3.3 semver-3.0.4 marshmallow-4.0.1 mistune-3.0.2 natsort-8.0.2 \
	wcwidth-0.5.3 xmltodict-1.0.2

.PHONY: bench-replay
bench-replay: $(VENV)/.bench.stamp ## Judge the recorded replies of all arms and experiments anew, and write docs/
	@mkdir -p docs
	@replay() { \
		bench=$$1; shift; \
		$(BIN)/llm-testgen bench $$bench "$$@" --markdown docs/$$bench.md --plots docs/plots $(ARGS); \
	}; \
	for bench in $(RECORDED_ONCE); do replay $$bench $(RECORDED) --methods 1 --most 11 || exit; done; \
	for bench in $(RECORDED_TWICE); do replay $$bench $(RECORDED) --methods 2 --most 11 || exit; done; \
	replay adapters $(addprefix --model ,$(RECORDED_TUNED)) --methods 2 $(addprefix --cases ,$(UNSEEN)) || exit; \
	replay quantisation $(addprefix --model ,$(RECORDED_QUANTISED)) --methods 1 $(addprefix --cases ,$(TEN)) || exit; \
	$(BIN)/llm-testgen bench adapters $(addprefix --model ,$(RECORDED_BRIEFLY_TUNED)) --methods 1 \
		$(addprefix --cases ,$(TEN)) --markdown docs/mixtures.md --plots docs/plots/mixtures $(ARGS) || exit; \
	for bench in $(RECORDED_WIDELY); do replay $$bench $(RECORDED) --methods 2 --most 21 || exit; done

.PHONY: lock
lock: $(VENV)/.dev.stamp ## Lock the requirements anew after pyproject.toml changed (ARGS=--upgrade for new releases)
	@$(LOCK) --extra local --extra bench --extra evolve --group dev -o requirements/dev.txt $(ARGS) pyproject.toml
	@$(LOCK) --extra local --group build -c requirements/dev.txt -o requirements/local.txt $(ARGS) pyproject.toml
	@$(LOCK) --extra bench --group build -c requirements/dev.txt -o requirements/bench.txt $(ARGS) pyproject.toml
	@$(LOCK) --extra evolve --group build -c requirements/dev.txt -o requirements/evolve.txt $(ARGS) pyproject.toml
	@$(LOCK) --extra tune --group build -c requirements/dev.txt -o requirements/tune.txt $(ARGS) pyproject.toml
	@$(LOCK) --group build -c requirements/dev.txt -o requirements/base.txt $(ARGS) pyproject.toml

.PHONY: clean
clean: ## Remove all that these targets made
	@rm -rf $(VENV) .demo build dist .coverage .mypy_cache .pytest_cache .ruff_cache
	@find bot tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Interpreters that lack venv or pip (Debian splits them off) are passed over too.
$(VENV)/.python.stamp:
	@for python in $(PYTHONS); do \
		"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		echo "Making $(VENV) with $$("$$python" --version)"; \
		"$$python" -m venv --clear $(VENV) && touch $@; exit; \
	done; \
	echo "No Python 3.11 or later with venv among: $(PYTHONS). Install one (on Debian with python3-venv)," \
		"or say which: make PYTHON=/path/to/python" >&2; exit 1

$(VENV)/.tune.stamp: requirements/tune.txt pyproject.toml $(VENV)/.dev.stamp
	@echo "Installing $< with $(TORCH)"
	@awk '/^[a-z]/ {left_out = /^(torch|triton|nvidia-|cuda-)/} !left_out' $< > $(VENV)/tune.txt
	@$(PIP) install --require-hashes --no-deps --requirement $(VENV)/tune.txt
	@$(PIP) install $(TORCH)
	@touch $@

# A lock holds every dependency, so pip need not resolve, and the package itself needs no index to build.
$(VENV)/.%.stamp: requirements/%.txt pyproject.toml $(VENV)/.python.stamp
	@echo "Installing $<"
	@$(PIP) install --require-hashes --no-deps --requirement $<
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
