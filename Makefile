# Thin on purpose: each target is one line that can be typed by hand.
.DEFAULT_GOAL := help
.PHONY: help up clients demo test test-all test-long test-sdks test-vllm conformance bench bench-gateway bench-stages bench-counting bench-surfaces soak lint docs clean-demo requirements build

export PATH := $(PATH):$(HOME)/.cargo/bin
PYTHON := PYTHONDONTWRITEBYTECODE=1 python3
# What the tests ask and are told, for `make conformance`.
EXCHANGES := $(CURDIR)/.hermetic/exchanges/tests

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

up: requirements build ## Build, fetch the demo models, import, serve on http://127.0.0.1:8080/v1
	@$(PYTHON) scripts/up.py

demo: requirements build ## The whole story unattended, the enclave in a network of its own
	@$(PYTHON) scripts/demo.py

test: ## Run the tests
	@rm -rf $(EXCHANGES) && mkdir -p $(EXCHANGES)
	@HERMETIC_EXCHANGES=$(EXCHANGES) $(PYTHON) scripts/run_tests.py

conformance: ## Hold what `test` and `demo` said and were told against OpenAI's description (reports/openai.json)
	@$(PYTHON) scripts/conformance.py $(if $(CHECK),--check)

test-sdks: requirements build ## Every client against the embedded engine and llama.cpp's server (reports/sdks.json, engines.json)
	@$(PYTHON) scripts/test_engines.py embedded
	@$(PYTHON) scripts/test_engines.py llama.cpp

test-vllm: requirements build ## The same with vLLM on the processor: installs 6 GB
	@$(PYTHON) scripts/test_engines.py vllm

test-all: test demo conformance test-long test-sdks ## Everything but what needs vLLM

test-long: ## Ten thousand lines of a batch through two dozen kills
	cargo test --release --locked --workspace --test it -- --ignored ten_thousand

bench: ## Measure against a floor or a peer in the same run; results in bench/results
	@sh scripts/bench.sh

bench-gateway: ## The gateway beside nginx and other gateways, ten minutes after a build of what ships (QUICK=1: three)
	@sh scripts/bench-gateway.sh $(if $(QUICK),--quick)

bench-stages: ## What each stage of a request costs, under callgrind, about two minutes
	@$(PYTHON) scripts/bench_stages.py
	@$(PYTHON) scripts/quote_results.py

bench-counting: ## What counting tokens costs beside `tokenizers`, half a minute (VOCABULARIES="NAME=TOKENIZER.json …")
	cargo build --release --locked -p hermetic-tokenizer --example count
	@$(PYTHON) scripts/bench_counting.py $(VOCABULARIES)
	@$(PYTHON) scripts/quote_results.py

bench-surfaces: ## What each surface and each translation costs beside forwarding byte for byte, a few seconds
	cargo build --profile dist --locked -p hermetic-bench
	target/dist/hermetic-bench surfaces --out bench/results
	@$(PYTHON) scripts/quote_results.py

soak: ## Millions of mixed requests, then every book compared (REQUESTS=200000: a minute)
	cargo build --profile dist --locked -p hermetic
	cargo build --profile dist --locked -p hermetic-bench
	taskset -c 1 target/dist/hermetic-bench soak --requests $(or $(REQUESTS),5000000) --out bench/results
	@$(PYTHON) scripts/quote_results.py

lint: ## Formatting, clippy without warnings, the repository's own rules
	cargo fmt --all --check
	cargo clippy --release --locked --workspace -- -D warnings
	cargo xtask tidy

docs: ## Regenerate the generated pages of the manual
	cargo xtask docs

clean-demo: ## Forget the demo's keys, bundle and enclave; keep the downloads
	rm -rf .hermetic/connected .hermetic/media .hermetic/enclave .hermetic/demo

clients: ## Install the clients that `demo` runs
	@cd scripts && $(PYTHON) -c 'import sdks; sdks.install()'

requirements:
	@sh scripts/requirements.sh

build:
	@$(PYTHON) scripts/build.py
