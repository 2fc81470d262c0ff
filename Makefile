# Signalbox. "make help" lists what can be asked for.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := all

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)

# -w leaves out what only a debugger reads; profilers and stack traces do not need it. make build LDFLAGS= keeps it.
LDFLAGS := -w $(if $(VERSION),-X main.release=$(VERSION))

# grpc-go's page of traces needs templates, which call methods by names that the linker cannot know: it would keep every
# method there is. See docs/adr/0011-what-the-linker-drops.md.
TAGS := grpcnotrace

ARGS    ?=

# Data that is not part of the repository: recorded traffic and the vulnerability database.
DATA ?= $(if $(SIGNALBOX_DATA),$(SIGNALBOX_DATA),../shared/data)

# Where the data is, tests that read it may not be skipped.
ifneq ($(wildcard $(DATA)/recorded),)
export SIGNALBOX_DATA         := $(abspath $(DATA))
export SIGNALBOX_REQUIRE_DATA := 1
endif

# Where the database servers are, tests on them may not be skipped.
ifneq ($(and $(shell command -v redis-server),$(firstword $(shell command -v initdb) $(wildcard /usr/lib/postgresql/*/bin/initdb))),)
export SIGNALBOX_REQUIRE_SERVERS := 1
endif

FUZZTIME  ?= 5s
BENCH     ?= .
BENCHTIME ?= 200ms
OLD       ?= HEAD~1
NEW       ?=

# The tools' module has a go.mod of its own, so that what they need never reaches the program's.
TOOL := $(GO) tool -modfile=tools/go.mod

# Packages whose tests start a real Envoy: those that use the starter, or run one themselves.
E2E_PKGS = $(shell $(call pkgs_with,internal/testkit/stack"|signalbox/envoy/binary"))
# pkgs_with PATTERN prints the packages with a test file that has the pattern.
pkgs_with = git ls-files --cached --others --exclude-standard '*_test.go' | grep -v '^internal/conformance/' | xargs grep -s -l -E '$(1)' | xargs -r -n1 dirname | sort -u | sed 's|^|./|'

# Packages whose tests take the longest. They begin first: what begins last has a core to itself, while the other has none.
LONG_PKGS = ./internal/accounts ./internal/backtest ./routing/sim ./internal/quota/redis

# pkgs_without_e2e prints all the others.
pkgs_without_e2e = comm -23 <($(GO) list ./... | sort) <($(GO) list $(E2E_PKGS) </dev/null | sort)

.PHONY: all
all: lint test ## lint and test

.PHONY: help
help: ## show this list
	@echo 'make run starts Signalbox with an Envoy beside it and prints a curl line to try; make test proves that it works here.'
	@echo
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{ printf "  %-14s %s\n", $$1, $$2 }'

.PHONY: build
build: ## build bin/signalbox, a static program
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o bin/signalbox ./cmd/signalbox

.PHONY: run
run: check-tools build ## build and start it: ARGS="--config FILE" for a configuration of your own
	bin/signalbox up $(ARGS)

.PHONY: test
test: check-tools unit e2e ## all tests: unit, golden files, laws, architecture, then those on a real Envoy

.PHONY: unit
unit: ## the tests that need neither Envoy nor network
	$(GO) test -count=1 -timeout 10m $(LONG_PKGS) $$($(pkgs_without_e2e))

# One package at a time: each starts Envoys of its own, and two cores are enough for one of them.
.PHONY: e2e
e2e: check-tools build ## the tests on a real Envoy
	@envoy=$$(bin/signalbox envoy path); echo "Envoy: $$envoy"; pkgs="$$(echo $(E2E_PKGS))"; \
	[[ -n "$$pkgs" ]] || { echo 'no package has tests on a real Envoy' >&2; exit 1; }; \
	set -x; ENVOY="$$envoy" SIGNALBOX_BINARY="$$PWD/bin/signalbox" SIGNALBOX_REQUIRE_ENVOY=1 $(GO) test -count=1 -timeout 20m -p 1 $$pkgs

.PHONY: test-race
test-race: ## unit tests under the race detector (needs gcc)
	@tools/check race
	$(GO) test -race -count=1 -timeout 20m $$($(pkgs_without_e2e))

.PHONY: vet
vet: ## gofmt and go vet
	@bad=$$(git ls-files --cached --others --exclude-standard '*.go' | xargs ls -d 2>/dev/null | xargs gofmt -s -l); [[ -z "$$bad" ]] || { echo "not formatted (make fmt does it):" >&2; echo "$$bad" >&2; exit 1; }
	$(GO) vet ./...

.PHONY: lint
lint: vet ## gofmt, go vet and golangci-lint
	$(TOOL) golangci-lint run

.PHONY: vuln
vuln: ## govulncheck, with the offline database of DATA where it is there
	@db=(); \
	if [[ -f '$(DATA)/govdb.tar.xz' ]]; then \
		tools/check xz; \
		if [[ ! -d .cache/govdb || '$(DATA)/govdb.tar.xz' -nt .cache/govdb ]]; then \
			rm -rf .cache/govdb; mkdir -p .cache; tar -C .cache --no-same-owner -xJmf '$(DATA)/govdb.tar.xz'; touch .cache/govdb; \
		fi; \
		db=(-db "file://$$PWD/.cache/govdb"); \
	fi; \
	set -x; $(TOOL) govulncheck "$${db[@]}" ./...

.PHONY: fmt
fmt: ## format the Go source
	git ls-files --cached --others --exclude-standard '*.go' | xargs ls -d 2>/dev/null | xargs gofmt -s -w

.PHONY: gen
gen: ## write again what is generated: the registry of models, the schema and the reference of the configuration, the tables of translation
	$(GO) generate ./...

.PHONY: proto
proto: ## write again what is generated from proto/ (the generators are pinned in tools/proto/go.mod)
	$(GO) tool -modfile=tools/proto/go.mod buf lint proto
	$(GO) tool -modfile=tools/proto/go.mod buf generate proto --template proto/buf.gen.yaml
	$(GO) test -count=1 ./internal/admin -run Document -update

.PHONY: golden
golden: ## write golden files again; read the difference before you commit it
	$(GO) test -count=1 $$($(call pkgs_with,flag\.Bool.*"update")) -update

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME
	@FUZZTIME='$(FUZZTIME)' tools/fuzz $$($(call pkgs_with,^func Fuzz))

.PHONY: bench
bench: build ## Go benchmarks, tokenizers side by side, then the proxy on a real Envoy (ARGS="-scale 4 -most 30m"); compare within one run only
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -benchtime '$(BENCHTIME)' $$($(call pkgs_with,^func Benchmark))
	$(GO) run ./internal/bench/tokens
	$(GO) run ./internal/bench $(ARGS)

.PHONY: bench-compare
bench-compare: ## benchmarks of OLD (HEAD~1) against NEW (the work tree), interleaved
	@BENCH='$(BENCH)' BENCHTIME='$(BENCHTIME)' tools/bench-compare '$(OLD)' '$(NEW)'

.PHONY: conformance
conformance: check-tools build ## official SDKs and a small real model through the gateway
	cd internal/conformance && ./run.sh

.PHONY: conformance-tokens
conformance-tokens: ## a million hard texts to every tokenizer's reference, Claude's too, which takes half an hour and Python 3.12
	cd internal/conformance && ./run.sh --only tokens,claude

.PHONY: test-quota
test-quota: check-tools build ## quotas at length: random histories on memory and Redis, a Redis Cluster, fail-over, the model where spin is there, and services that are killed
	@tools/check quota
	SIGNALBOX_REQUIRE_SERVERS=1 SIGNALBOX_QUOTA_LONG=1 $(GO) test -count=1 -timeout 20m -p 1 ./internal/quota/...
	SIGNALBOX_REQUIRE_SERVERS=1 $(GO) test -count=1 -timeout 20m -p 1 -run "Histories|Replicas" ./internal/quota/memory ./internal/quota/lease ./internal/quota/redis -rapid.checks 10000
	SIGNALBOX_REQUIRE_SERVERS=1 SIGNALBOX_QUOTA_LONG=1 SIGNALBOX_BINARY="$$PWD/bin/signalbox" $(GO) test -count=1 -timeout 20m -v -run Money ./internal/e2e/proof

.PHONY: simulate
simulate: ## what routing promises, in fake time, played fifty times over, and what backtest says two hundred times
	$(GO) test -count=1 -timeout 20m -v ./routing/sim -seeds 50
	$(GO) test -count=1 -timeout 40m -v -run AsGoodAsTheySay ./internal/backtest -seeds 200

.PHONY: soak
soak: check-tools build ## ten minutes of mixed load with everything on: memory, goroutines and open files must not grow
	SIGNALBOX_SOAK=$${SIGNALBOX_SOAK:-10m} SIGNALBOX_BINARY="$$PWD/bin/signalbox" $(GO) test -count=1 -timeout 30m -v -run NothingGrows ./internal/e2e/proof

.PHONY: cross
cross: ## every recorded exchange to every kind of provider; make test takes a part of the vendors for each
	SIGNALBOX_CROSS=1 $(GO) test -count=1 -run EveryRecordToEveryKind -v ./internal/translate

.PHONY: check-tools
check-tools: ## name what this machine lacks
	@tools/check test

.PHONY: clean
clean: ## remove what was built
	rm -rf bin .cache
