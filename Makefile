# The way in. `make` alone lists what there is.

.DEFAULT_GOAL := help
SHELL := /bin/sh
.PHONY: help dev test rehearse rehearse-faults rehearse-alarms rehearse-restore rehearse-upgrade rehearse-ready check check-rust check-deps check-contract check-clients check-template check-archive check-release check-route generate bench bench-count bench-record bench-check bench-harness bench-binaries bench-valgrind soak audit audit-search redrive migrate check-data repair import export-lab destroy-lab begin-epoch lab-data-ready build release deploy rollback clean reset-data

TOOLS      := .tools
VENV       := $(TOOLS)/venv
CHECK_VENV := $(TOOLS)/venv-check
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
FUNCTIONS  := $(patsubst functions/%/Cargo.toml,%,$(sort $(wildcard functions/*/Cargo.toml)))
BINS       := $(addprefix --bin ,$(FUNCTIONS))
TS_CLIENT  := clients/typescript
HAS_NODE   := $(shell command -v npm)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# dev

# The same feature selection as cargo-lambda's own `cargo run --bin NAME`, so that it finds everything built.
dev: $(VENV)/.dev-installed ## run everything on this machine (RELEASE=1: release binaries, WATCH=1: rebuild on changes)
ifeq ($(RELEASE),1)
	cargo build --release $(BINS)
	cargo build --bin lhcms-local
else
	cargo build --bin lhcms-local $(BINS)
endif
	@exec $(TARGET_DIR)/debug/lhcms-local

reset-data: ## forget the data of `make dev`
	rm -rf .local

# Installed again only when the list of requirements changes.
$(VENV)/.dev-installed $(VENV)/.test-installed: $(VENV)/.%-installed: tools/requirements/%.txt
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo 'make: Python 3 with its venv module is needed (Debian and Ubuntu: apt install python3-venv)' >&2; exit 1; }
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

# test

# Tests that need a browser or Node.js report here when there is none; with CI set they fail.
SKIPPED := $(TARGET_DIR)/tmp/skipped-tests.txt

# The end-to-end tests start what `make dev` starts, so it is built first, as `make dev` builds it.
test: $(VENV)/.dev-installed $(VENV)/.test-installed $(if $(HAS_NODE),$(TS_CLIENT)/node_modules/.installed) ## run every test
	@rm -f $(SKIPPED)
	$(if $(HAS_NODE),npm --prefix $(TS_CLIENT) run --silent build)
	cargo build --locked --bin lhcms-local $(BINS)
	cargo test --locked --workspace
	@if [ -f $(SKIPPED) ]; then cat $(SKIPPED); fi

# rehearse

REHEARSE_VENV := $(TOOLS)/venv-rehearse
REHEARSE      := $(REHEARSE_VENV)/bin/python tools/rehearsal/rehearse.py --target $(TARGET_DIR)

# The binaries of `make test`, built as it builds them.
rehearse: rehearse-ready ## deploy the template to an emulator of AWS, and call every operation
	$(REHEARSE)

rehearse-faults: rehearse-ready ## show that the rehearsal finds faults in the template
	$(REHEARSE) --faults

rehearse-alarms: rehearse-ready ## cause failures in the rehearsed deployment, and show that the alarms' metrics move
	cargo build --locked --example panicking
	$(REHEARSE) --alarms

# Built first and put aside, because both releases have binaries of the same names: so the dependencies are built once.
UPGRADE := $(TARGET_DIR)/previous

rehearse-upgrade: ## run another release beside this one on one table: make rehearse-upgrade PREVIOUS=v1.0.0 (a tag or commit)
	@git rev-parse --quiet --verify '$(PREVIOUS)^{commit}' >/dev/null || { echo 'make: say PREVIOUS=<tag or commit of the other release>' >&2; exit 1; }
	rm -rf $(UPGRADE)/source $(UPGRADE)/binaries
	mkdir -p $(UPGRADE)/source $(UPGRADE)/binaries
	git archive '$(PREVIOUS)' | tar -x -C $(UPGRADE)/source
	@# In a folder of its own: in one folder cargo would take the crates of one release for those of the other.
	cargo build --locked --manifest-path $(UPGRADE)/source/Cargo.toml --target-dir $(UPGRADE)/target \
	  $$(cd $(UPGRADE)/source/functions && for name in *; do echo --bin $$name; done)
	for name in $(UPGRADE)/source/functions/*; do cp $(UPGRADE)/target/debug/$${name##*/} $(UPGRADE)/binaries/; done
	$(MAKE) --no-print-directory rehearse-ready
	$(REHEARSE) --previous $(UPGRADE)

rehearse-restore: rehearse-ready lab-data-ready ## back up, lose and restore the table of the rehearsed deployment, and verify everything
	$(REHEARSE) --restore

rehearse-ready: $(REHEARSE_VENV)/.installed $(CHECK_VENV)/.installed
	cargo build --locked --bin lhcms-local $(BINS)

# check

CARGO_DENY := 0.20.2
# SAM wants a region even where it asks nobody, and would otherwise report its use to its makers.
# The loops of the template are language extensions, which SAM reads on request.
SAM_ENV    := SAM_CLI_TELEMETRY=0 SAM_CLI_ENABLE_LANGUAGE_EXTENSIONS=1 AWS_DEFAULT_REGION=$(or $(AWS_DEFAULT_REGION),us-east-1)
CHECK_PY   := $(CURDIR)/$(CHECK_VENV)/bin/python
# cargo-lambda asks the first python3 on the path for zig, so its folder comes first.
WITH_TOOLS := PATH="$(CURDIR)/$(VENV)/bin:$(CURDIR)/$(CHECK_VENV)/bin:$$PATH" $(SAM_ENV)

check: check-rust check-deps check-contract check-template check-archive check-release check-clients ## formatting, lints, licences, contract, template, clients

# What needs Node.js is skipped without it, and says so; in CI that is a failure.
NODE_TOOLS    := $(TOOLS)/node
CLIENT_VENV   := $(TOOLS)/venv-clients
REDOCLY_ENV   := REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
WITHOUT_NODE   = @echo 'make: SKIPPED $(1): install Node.js 20.19 or newer with npm (Debian and Ubuntu: apt install nodejs npm)' >&2; test -z "$(CI)"

check-rust:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

check-deps: $(TOOLS)/.cargo-deny-$(CARGO_DENY)
	$(TOOLS)/bin/cargo-deny --locked --config tools/deny.toml check bans licenses sources

check-contract: $(CHECK_VENV)/.installed $(if $(HAS_NODE),$(NODE_TOOLS)/.installed)
	@# Cut short, because the validator prints the whole document along with a fault.
	@out=$$($(CHECK_VENV)/bin/openapi-spec-validator openapi.yaml 2>&1) || { printf '%.1000s\n' "$$out" >&2; exit 1; }
ifeq ($(HAS_NODE),)
	$(call WITHOUT_NODE,the rules of redocly.yaml)
else
	$(REDOCLY_ENV) $(NODE_TOOLS)/node_modules/.bin/redocly lint --config tools/redocly.yaml --max-problems 20 openapi.yaml
endif

check-clients: $(VENV)/.dev-installed $(CLIENT_VENV)/.installed $(if $(HAS_NODE),$(NODE_TOOLS)/.installed $(TS_CLIENT)/node_modules/.installed) ## test the clients in clients/ against the service
	cargo build --locked --bin lhcms-local $(BINS)
	python3 tools/clients/check.py --generator $(CLIENT_VENV)/bin/openapi-python-client $(if $(HAS_NODE),--node $(NODE_TOOLS))
ifeq ($(HAS_NODE),)
	$(call WITHOUT_NODE,the TypeScript client)
endif

CHECKOV   := $(CURDIR)/$(TOOLS)/venv-checkov/bin/checkov
NAG_TOOLS := $(TOOLS)/node-nag

check-template: $(CHECK_VENV)/.installed $(TOOLS)/venv-checkov/.installed $(if $(HAS_NODE),$(NAG_TOOLS)/.installed)
	$(CHECK_VENV)/bin/cfn-lint template.yaml edge.yaml
	@echo 'cfn-lint: 0 findings'
	$(WITH_TOOLS) sam validate --lint
	cd tools/template && $(WITH_TOOLS) $(CHECK_PY) -m unittest
	@cd tools/template && $(WITH_TOOLS) $(CHECK_PY) check.py --checkov $(CHECKOV) $(if $(HAS_NODE),--nag $(CURDIR)/$(NAG_TOOLS))
ifeq ($(HAS_NODE),)
	$(call WITHOUT_NODE,the HIPAA rules of cdk-nag)
endif

ARCHIVE_PY := $(TOOLS)/venv-archive/bin/python

check-archive: $(TOOLS)/venv-archive/.installed
	cd tools/archive && $(CURDIR)/$(ARCHIVE_PY) -m unittest

check-route: ## add a route to a copy of the project, build it, and list the files touched by hand
	tools/throw-away-route

check-release: $(CHECK_VENV)/.installed
	cd tools/release && $(CHECK_PY) -m unittest

generate: ## bring what follows from openapi.yaml up to date
	cargo run --quiet --package generate

audit: $(TOOLS)/.cargo-deny-$(CARGO_DENY) ## known vulnerabilities of the dependencies (fetches the advisory database)
	$(TOOLS)/bin/cargo-deny --locked --config tools/deny.toml check advisories

$(TOOLS)/.cargo-deny-$(CARGO_DENY):
	@# --debug: a minute to build instead of four, and quick enough.
	cargo install --locked --debug --root $(TOOLS) --version $(CARGO_DENY) cargo-deny
	@touch $@

$(TOOLS)/venv-%/.installed: tools/requirements/%.txt
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo 'make: Python 3 with its venv module is needed (Debian and Ubuntu: apt install python3-venv)' >&2; exit 1; }
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(NAG_TOOLS)/.installed: tools/template/nag/package.json tools/template/nag/package-lock.json
	mkdir -p $(NAG_TOOLS)
	cp $^ $(NAG_TOOLS)
	npm ci --prefix $(NAG_TOOLS) --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(NODE_TOOLS)/.installed: tools/clients/package.json tools/clients/package-lock.json
	mkdir -p $(NODE_TOOLS)
	cp $^ $(NODE_TOOLS)
	npm ci --prefix $(NODE_TOOLS) --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(TS_CLIENT)/node_modules/.installed: $(TS_CLIENT)/package.json $(TS_CLIENT)/package-lock.json
	npm ci --prefix $(TS_CLIENT) --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# bench

# The functions that the benchmark measures. Only these are built in release mode: each takes more than a minute.
MEASURED  := get-case create-case list-cases update-case update-case-status case-stats search-cases
# Those that CI builds. Of the others it counts the calls to DynamoDB, with the debug binaries of `make test`.
CHECKED   := get-case create-case list-cases
LHCMS_BENCH := $(TARGET_DIR)/debug/lhcms-bench
BINARIES  := $(TARGET_DIR)/release $(TARGET_DIR)/debug

# Two builds side by side, because linking with LTO keeps only one core busy. Those in one folder wait for each other, so they are one recipe.
bench: bench-valgrind ## measure the release binaries: docs/performance.md says what and how
	$(MAKE) --no-print-directory --jobs=2 bench-harness bench-binaries
	$(LHCMS_BENCH) run $(BINARIES)

bench-count: bench-valgrind bench-harness ## only the part of `make bench` that counts: instructions, calls, units, sizes
	cargo build --locked --release $(addprefix --package ,$(MEASURED))
	$(LHCMS_BENCH) count $(BINARIES)

bench-record: ## put the figures of the last `make bench` into the docs, and make its counts the reference
	$(LHCMS_BENCH) record

bench-check: bench-valgrind ## compare instructions, calls, units and sizes with bench/budgets.json
	cargo build --locked --bin lhcms-bench $(addprefix --bin ,$(MEASURED))
	cargo build --locked --release $(addprefix --package ,$(CHECKED))
	$(LHCMS_BENCH) check $(BINARIES)

MINUTES ?= 20

# Without it CI would have to build more functions: what a soak finds is the same in debug binaries.
soak: ## mixed load with 8 environments for MINUTES=20: memory flat, no errors, statistics and lists exact
	cargo build --locked --bin lhcms-bench $(addprefix --bin ,$(MEASURED))
	$(LHCMS_BENCH) soak $(BINARIES) $(MINUTES)

bench-harness:
	cargo build --locked --bin lhcms-bench

bench-binaries:
	cargo build --locked --release --manifest-path bench/stock-sdk/Cargo.toml --target-dir $(TARGET_DIR)
	cargo build --locked --release --package floor $(addprefix --package ,$(MEASURED))

bench-valgrind:
	@command -v valgrind >/dev/null || { echo 'make: valgrind is needed (Debian and Ubuntu: apt-get install valgrind)' >&2; exit 1; }

# archive

# Without BUCKET it searches the archive of `make dev`. (USER is set in every shell, so only the one given to make counts.)
SEARCH_ENV := $(if $(BUCKET),,AWS_ENDPOINT_URL_S3=http://localhost:$(or $(S3_PORT),8001) AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=us-east-1)

audit-search: $(TOOLS)/venv-archive/.installed ## search the archive: make audit-search LAB=123 FROM=2026-11-01 TO=2026-11-25 [USER=7] [CASE=42] [BUCKET=...]
	@$(SEARCH_ENV) $(ARCHIVE_PY) tools/archive/search.py --bucket $(or $(BUCKET),lhcms-dev-archive) --lab $(LAB) --from $(FROM) --to $(TO) \
	  $(if $(filter command,$(firstword $(origin USER))),--user $(USER)) $(if $(CASE),--case $(CASE))

redrive: $(TOOLS)/venv-archive/.installed ## process the changes in the dead-letter queue again: make redrive STAGE=prod
	@$(ARCHIVE_PY) tools/archive/redrive.py --stage $(STAGE)

# migrate

# Without STAGE it migrates the table of `make dev`. TABLE and AUDIT_TABLE are for a stage with ExistingTableName. With STAGE it needs credentials in the environment; the AWS CLI exports those of a profile.
MIGRATE_ENV := $(if $(STAGE),STAGE=$(STAGE) TABLE_NAME=$(or $(TABLE),lhcms-$(STAGE)) AWS_REGION=$(or $(AWS_REGION),$(AWS_DEFAULT_REGION)),STAGE=dev TABLE_NAME=lhcms-dev \
  AWS_ENDPOINT_URL_DYNAMODB=http://localhost:$(or $(DYNAMODB_PORT),8000) AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_REGION=us-east-1)

migrate: ## bring a table of an earlier release up to date: make migrate STAGE=dev [DRY_RUN=1] [UNITS=500]
	cargo build --quiet --locked --package migrate
	@$(MIGRATE_ENV) $(TARGET_DIR)/debug/migrate $(if $(DRY_RUN),--dry-run) $(if $(UNITS),--units $(UNITS))

# The tools that check seals or make them need the keys as well, and those that read or write files the bucket: FILES_BUCKET of a stage. With STAGE they are in the environment, from the stage's secret.
LAB_DATA_ENV := $(MIGRATE_ENV) FILES_BUCKET_NAME=$(or $(FILES_BUCKET),$(if $(STAGE),,lhcms-dev-files)) $(if $(STAGE),,AWS_ENDPOINT_URL_S3=http://localhost:$(or $(S3_PORT),8001)) AUDIT_TABLE_NAME=$(or $(AUDIT_TABLE),lhcms-$(or $(STAGE),dev)-audit) $(if $(STAGE),,SEAL_KEYS=$(or $(SEAL_KEYS),dev:dev-seal-key-for-local-use-only-0123456789))
LAB_DATA     := $(LAB_DATA_ENV) $(TARGET_DIR)/debug/lab-data

check-data: lab-data-ready ## check the data of a lab, and report every fault: make check-data LAB=123 [STAGE=prod]
	@$(LAB_DATA) check

repair: lab-data-ready ## the same, and mend what follows from other data: make repair LAB=123 [STAGE=prod] [DRY_RUN=1]
	@$(LAB_DATA) repair

import: lab-data-ready ## import cases, or a lab: make import SOURCE=cases.db|postgresql://...|cases.csv|cases.ndjson|folder [STAGE=prod] [DRY_RUN=1]
	@$(LAB_DATA) import

export-lab: lab-data-ready ## write all data of a lab into a new folder: make export-lab LAB=123 TO=folder [STAGE=prod]
	@$(LAB_DATA) export

destroy-lab: lab-data-ready ## destroy all data of a lab: make destroy-lab LAB=123 [STAGE=prod] prints the plan; CONFIRM=code BY=name does it
	@$(LAB_DATA) destroy

begin-epoch: lab-data-ready ## after a restore of the table: make begin-epoch STAGE=prod TABLE=lhcms-prod-restored RESTORED_TO=2026-11-24T09:00:00Z [FROM=lhcms-prod]
	@test -n "$(TABLE)" || { echo 'make: say TABLE=, the name of the restored table' >&2; exit 1; }
	@$(LAB_DATA) begin-epoch

lab-data-ready:
	cargo build --quiet --locked --package lab-data

# build and deploy

ARM := aarch64-unknown-linux-gnu
# The commit of the release, for /health and the log.
WITH_COMMIT = LHCMS_COMMIT="$$(git describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null || echo unknown)"
# The folder of a deployment: the functions, with the template and what it includes.
BUILT   := dist/build
DIST    := $(BUILT)
# Without the paths and the time of this machine, the same commit gives the same bytes everywhere.
CARGO_FOLDER := $(or $(CARGO_HOME),$(HOME)/.cargo)
# (SOURCE_DATE_EPOCH: a C library has the time of its compilation in it. Always the same one, because objects are kept between builds.)
REPRODUCIBLE := SOURCE_DATE_EPOCH=0 RUSTFLAGS="--remap-path-prefix=$(CURDIR)=/lhcms --remap-path-prefix=$(CARGO_FOLDER)=/cargo" \
  CFLAGS="-ffile-prefix-map=$(CURDIR)=/lhcms -ffile-prefix-map=$(CARGO_FOLDER)=/cargo"

build: $(VENV)/.dev-installed $(CHECK_VENV)/.installed ## the functions for AWS, in a folder of dist/, and their sizes
	@rustup target list --installed | grep -qx $(ARM) || rustup target add $(ARM)
	rm -rf $(BUILT)
	$(WITH_COMMIT) $(WITH_TOOLS) $(REPRODUCIBLE) cargo lambda build --release --arm64 --locked --lambda-dir $(BUILT)/functions \
	  $(addprefix --package ,$(FUNCTIONS))
	cp template.yaml gateway.yaml $(BUILT)
	@$(CHECK_PY) tools/release/sizes.py $(BUILT)

CARGO_CYCLONEDX := 0.5.9

# Named after the tag, or the commit.
release: $(TOOLS)/.cargo-cyclonedx-$(CARGO_CYCLONEDX) ## the same as a release: with bills of materials and checksums, also as an archive
	@test -z "$$(git status --porcelain)" || { echo 'make: commit first: a release is that of a commit' >&2; exit 1; }
	$(MAKE) build
	PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" tools/release/pack $(BUILT) "dist/lhcms-$$(git describe --tags --always --match 'v[0-9]*')"

$(TOOLS)/.cargo-cyclonedx-$(CARGO_CYCLONEDX):
	cargo install --locked --debug --root $(TOOLS) --version $(CARGO_CYCLONEDX) cargo-cyclonedx
	@touch $@

HAS_STAGE = @case "$(STAGE)" in dev|qa|prod) ;; *) echo 'make: say STAGE=dev, qa or prod' >&2; exit 1 ;; esac

DEPLOY = $(WITH_TOOLS) $(CHECK_PY) tools/release/deploy.py --stage $(STAGE) --release $(DIST) $(if $(AT_ONCE),--at-once) $(if $(DRY_RUN),--dry-run)

deploy: $(CHECK_VENV)/.installed ## deploy to AWS: make deploy STAGE=dev|qa|prod [DIST=dist/lhcms-v1.0.0, else it builds] [DRY_RUN=1: only show the changes] [AT_ONCE=1: no canary]
	$(HAS_STAGE)
	@$(DEPLOY) --check
ifeq ($(DIST),$(BUILT))
	$(MAKE) build
endif
	@$(DEPLOY)

rollback: $(CHECK_VENV)/.installed ## say what going back to a release needs, and deploy it: make rollback STAGE=prod DIST=dist/lhcms-v1.0.0
	$(HAS_STAGE)
	@test -f '$(DIST)/template.yaml' || { echo 'make: say DIST=<the folder of the release to go back to>' >&2; exit 1; }
	cd $(DIST) && sha256sum --quiet --check SHA256SUMS
	@$(CHECK_PY) tools/release/rollback.py $(DIST) $(STAGE)
	$(MAKE) deploy STAGE=$(STAGE) DIST=$(DIST)

# clean

clean: ## delete everything that was built or installed here (keeps the data of `make dev`)
	cargo clean
	rm -rf $(TOOLS) dist $(TS_CLIENT)/node_modules $(TS_CLIENT)/dist
