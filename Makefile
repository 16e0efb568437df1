# `make run` and `make test` are all a fresh Debian machine with Rust needs.

CARGO ?= cargo
# The lock file says what is built; nothing here changes it.
LOCKED := --locked
CONFIG ?= config/quickstart.yaml

define TRY

Passgate is about to listen on http://127.0.0.1:8080, until Ctrl-C. In another terminal, sign up:

  curl -i http://127.0.0.1:8080/api-auth/create/ -H 'Content-Type: application/json' \
    -d '{"email": "ada@example.com", "username": "ada", "first_name": "Ada", "password": "weave-numbers-1843"}'

sign in:

  curl http://127.0.0.1:8080/api-auth/token -d client_id=web -d client_secret=quickstart-secret \
    -d grant_type=password -d username=ada@example.com -d password=weave-numbers-1843

and, with the access token of the answer, see what an upstream is told about you:

  curl http://127.0.0.1:8080/hello -H "Authorization: Bearer ACCESS_TOKEN"

README.md goes on from here.

endef
export TRY

# What tests/it/django.rs and tests/it/examples/ run, each made anew when its requirements change.
TARGET := $(or $(CARGO_TARGET_DIR),target)

# Installs packages of Debian's, or says which are missing.
define INSTALL
if test "$$(id -u)" = 0; then sudo=; else sudo=sudo; fi; \
if ! command -v apt-get >/dev/null || { test -n "$$sudo" && ! command -v sudo >/dev/null; }; then \
  echo "please install:$$missing" >&2; exit 1; \
fi; \
set -x; $$sudo apt-get update -q && $$sudo apt-get install -q -y --no-install-recommends $$missing
endef

.DEFAULT_GOAL := help
.PHONY: run test check fmt lint docs release profile bench audit clean help tools test-tools bench-tools profile-tools django fastapi express

run: tools ## build and start the quick start (CONFIG=FILE for another configuration)
# The development profile: it is there in half the time of the release build, shares its work with
# `make test`, and hashes passwords as fast, since the hashing crates are optimised in it too.
	$(CARGO) build $(LOCKED)
ifeq ($(CONFIG),config/quickstart.yaml)
	@printf '%s\n' "$$TRY"
endif
	@exec $(CARGO) run $(LOCKED) --quiet -- serve --config $(CONFIG)

test: test-tools django fastapi express ## run every test
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  run='$(CARGO) nextest run $(LOCKED)'; ignored='--run-ignored only'; \
	else \
	  run='$(CARGO) test $(LOCKED) --lib --bins --tests'; ignored='--test it -- --ignored'; \
	fi; \
	there=; for stamp in $(TARGET)/django/requirements.txt $(TARGET)/fastapi/requirements.txt $(TARGET)/express/installed; do \
	  test ! -e $$stamp || there="$$there $$(basename $$(dirname $$stamp))::"; \
	done; \
	set -ex; $$run; test -z "$$there" || $$run $$ignored $$there; $(CARGO) test $(LOCKED) --doc

check: lint docs ## formatting, lints and documentation, every warning an error

lint: tools
	$(CARGO) fmt --check
	$(CARGO) clippy $(LOCKED) --all-targets -- -D warnings

fmt: ## format the source
	$(CARGO) fmt

docs: tools ## build the crate's documentation into target/doc
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(LOCKED) --no-deps --document-private-items

# What a gateway does all day says where its code is worth making fast: an eighth less CPU a request. The profile is of this
# source and this compiler; another one is of no use, and does no harm.
PROFILE := $(abspath $(TARGET))/pgo/passgate.profdata
LLVM = $(shell rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
PROFDATA = $(or $(wildcard $(shell rustc --print target-libdir)/../bin/llvm-profdata),llvm-profdata-$(LLVM))

release: $(PROFILE) ## target/release/passgate, guided by a profile: built twice, an eighth faster
	RUSTFLAGS='-C profile-use=$(PROFILE)' $(CARGO) build $(LOCKED) --release

profile: ## learn anew what to make fast, after changes to the source
	rm -f $(PROFILE)
	$(MAKE) $(PROFILE)

$(PROFILE): | profile-tools
	rm -rf $(dir $@)raw
	RUSTFLAGS='-C profile-generate=$(dir $@)raw' $(CARGO) bench $(LOCKED) --profile release --target-dir $(dir $@) \
	  --bench proxies -- training
	$(PROFDATA) merge --sparse --output $@ $(dir $@)raw

bench: bench-tools $(PROFILE) ## what a request costs, beside nginx and HAProxy (BENCH="seen --rounds 3": a part of it)
	RUSTFLAGS='-C profile-use=$(PROFILE)' $(CARGO) bench $(LOCKED) --profile release --bench proxies -- $(BENCH)

audit: tools ## licences and origins of all dependencies, by deny.toml
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny $(LOCKED) check licenses bans sources

clean: ## remove what was built; data/ stays
	$(CARGO) clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

# A C compiler and cmake build the C parts of the dependencies (zlib-ng, AWS-LC, SQLite).
tools:
	@command -v $(CARGO) >/dev/null || { echo 'Rust is missing: see https://rustup.rs' >&2; exit 1; }
	@missing=; \
	command -v cc >/dev/null || missing="$$missing gcc libc6-dev"; \
	command -v cmake >/dev/null || missing="$$missing cmake"; \
	test -n "$$missing" || exit 0; \
	$(INSTALL)

# Tests keep their accounts in a Redis and import from a PostgreSQL; each starts a server of its own. node runs one of
# the examples, curl the lines of docs/endpoints.md.
test-tools: tools
	@missing=; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	command -v curl >/dev/null || missing="$$missing curl"; \
	ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$$missing postgresql"; \
	command -v node >/dev/null || missing="$$missing nodejs"; \
	command -v npm >/dev/null || missing="$$missing npm"; \
	test -n "$$missing" || exit 0; \
	$(INSTALL)

# Benches run the servers that Passgate is compared with, each pinned to a core.
bench-tools: tools
	@missing=; PATH="$$PATH:/usr/sbin"; \
	command -v nginx >/dev/null || missing="$$missing nginx-light"; \
	command -v haproxy >/dev/null || missing="$$missing haproxy"; \
	command -v taskset >/dev/null || missing="$$missing util-linux"; \
	command -v strace >/dev/null || missing="$$missing strace"; \
	test -n "$$missing" || exit 0; \
	$(INSTALL)

# Rust has the tool as a component (`rustup component add llvm-tools`), and Debian has it of each LLVM.
profile-tools: tools
	@missing=; \
	command -v $(PROFDATA) >/dev/null || missing="$$missing llvm-$(LLVM)"; \
	command -v taskset >/dev/null || missing="$$missing util-linux"; \
	test -n "$$missing" || exit 0; \
	$(INSTALL)

# Tests of these are left out, and said to be, where PyPI or npm's registry cannot be reached: the rest does not depend
# on them.
define VENV
@cmp -s $< $(TARGET)/$@/requirements.txt && exit; rm -f $(TARGET)/$@/requirements.txt; \
python3 -c 'import ensurepip, venv' 2>/dev/null || { missing=' python3-venv'; $(INSTALL); }; \
python3 -m venv --clear $(TARGET)/$@ && \
$(TARGET)/$@/bin/pip install --quiet --disable-pip-version-check --only-binary=:all: --requirement $< && \
cp $< $(TARGET)/$@/requirements.txt || echo 'No $@ to be had from PyPI: its tests are LEFT OUT' >&2
endef

django: tests/it/django/requirements.txt
	$(VENV)

fastapi: examples/fastapi/requirements.txt
	$(VENV)

express: examples/express/package-lock.json
	@cmp -s $< $(TARGET)/$@/installed && exit; rm -f $(TARGET)/$@/installed; \
	mkdir -p $(TARGET)/$@ && cp examples/express/package.json $< $(TARGET)/$@ && \
	npm ci --prefix $(TARGET)/$@ --silent --no-audit --no-fund --ignore-scripts --fetch-retries=1 && \
	cp $< $(TARGET)/$@/installed || echo "No $@ to be had from npm's registry: its tests are LEFT OUT" >&2
