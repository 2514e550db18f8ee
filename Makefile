# Every command of this project. The host needs git, make, npm and any Node >= 20; the pinned Node does the work.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:

# The architecture to build for: x64 or arm64.
HOST_ARCH := $(patsubst aarch64,arm64,$(patsubst x86_64,x64,$(shell uname -m)))
ARCH ?= $(HOST_ARCH)
NODE := $(CURDIR)/node_modules/node-linux-$(HOST_ARCH)/bin/node
# Holds the lock file of what is installed, so that an install happens once.
STAMP := node_modules/.manifold-lock
HOST_PATH := $(PATH)
export PATH := $(dir $(NODE)):$(CURDIR)/node_modules/.bin:$(PATH)

.PHONY: help install demo test stress test-oldest check build bench conformance format clean

help: ## these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install:
	@if cmp -s package-lock.json $(STAMP) && test -x $(NODE); then exit 0; fi
	echo "Installing the packages of package-lock.json (compiler, linter, test runner, Node 26) into node_modules with npm ci"
	if ! PATH="$(HOST_PATH)" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=4000; then
	  echo "Cannot install: 'npm ci' wanted the packages of package-lock.json from $$(npm config get registry) and failed (see above)." >&2
	  echo "Give this machine a way to that registry or a mirror ('npm config set registry URL'), then run make again." >&2
	  exit 1
	fi
	if ! test -x $(NODE); then
	  echo "Cannot find $(NODE): npm has no node-linux-$(HOST_ARCH) package for this machine (x64 and arm64 Linux are supported)." >&2
	  exit 1
	fi
	if ! $(NODE) --version > /dev/null; then
	  echo "Cannot start $(NODE) (see above). It needs libatomic, libstdc++ and libgcc_s: apt-get install libatomic1 libstdc++6, or the like." >&2
	  exit 1
	fi
	cp package-lock.json $(STAMP)

demo: build ## plugs two pods into three networks each and shows it (root)
	@$(NODE) --disable-warning=ExperimentalWarning test/demo/main.ts

test: build ## every test (root); the last line counts them
	@$(NODE) build/run-tests.ts

stress: install ## virtual functions moved in and out 200 times, at random, with kills (root; ROUNDS=200 SEED=n)
	@MANIFOLD_VM_ROUNDS=$(or $(ROUNDS),200) $(if $(SEED),MANIFOLD_VM_SEED=$(SEED)) $(NODE) build/run-tests.ts --project vm -t 'under stress'

test-oldest: build ## the tests against an API server, with the oldest Kubernetes that is supported (root)
	@MANIFOLD_TEST_KUBERNETES=oldest $(NODE) build/run-tests.ts --project kube

check: install ## format, lint, types, dead code, import direction
	@failed=0
	biome check --error-on-warnings . || failed=1
	tsc || failed=1
	knip || failed=1
	exit $$failed

build: install ## the executables and bundles in dist/ (ARCH=arm64 for the other architecture)
	@$(NODE) build/main.ts --arch $(ARCH)

bench: build ## measures, and writes docs/performance.md (root)
	@$(NODE) --disable-warning=ExperimentalWarning test/bench/main.ts

conformance: install ## PLUGIN=/path/to/plugin CONF=file [ARGS="--json"]: any CNI plugin against the specification (root)
	@$(NODE) --disable-warning=ExperimentalWarning test/conformance/main.ts --plugin "$(PLUGIN)" --conf "$(CONF)" $(ARGS)

format: install ## rewrites what the formatter and the safe lint fixes can mend
	@biome check --write .

clean: ## removes dist/ and node_modules/
	@rm -rf dist coverage node_modules
