# xennet: `make demo` shows it at work, `make test` proves it. Both install what they need, and say so.

CARGO ?= cargo
CACHE := .cache
DENY_VERSION := 0.20.2

# The command is one static file: a third of what a dynamic one does for a plug is loading its libraries.
# Only for the target, because a procedural macro cannot be static: so the target is named, though it is this machine.
HOST := $(shell rustc --version --verbose | sed -n 's/^host: //p')
XENNET := $(CURDIR)/target/$(HOST)/release/xennet
STATIC := RUSTFLAGS="$(RUSTFLAGS) -C target-feature=+crt-static" $(CARGO) build --locked --release --target $(HOST)

.PHONY: all build demo test test-xen bench check setup clean

all: build
	$(CARGO) build --locked --release --package xennet-ffi

build: cc
	$(STATIC) --package xennet-cli

# Two guests on a bridge, each in a network namespace of its own. Needs no root, no Xen and no other tool.
demo: build
	$(XENNET) demo

# Everything that runs on this kernel: needs root, for network namespaces and for what tests/setup installs.
test: setup build
	XENNET_BIN=$(XENNET) $(CARGO) test --locked --workspace

# Real Xen under software emulation; see tests/xen/README.md.
test-xen: setup build
	XENNET_BIN=$(XENNET) tests/xen/run

# Figures, not tests.
bench: cc
	$(CARGO) bench --locked --package xennet-benches

check: cc
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items
	@test -x $(CACHE)/tools/bin/cargo-deny || { \
		echo "check: installing cargo-deny $(DENY_VERSION) below $(CACHE)"; \
		$(CARGO) install --quiet --locked --root $(CACHE)/tools cargo-deny --version $(DENY_VERSION); }
	$(CACHE)/tools/bin/cargo-deny --locked --workspace check bans licenses sources

setup: cc
	tests/setup

.PHONY: cc
cc:
	@command -v cc >/dev/null || { echo "make: installing gcc, which Rust links with"; apt-get update -qq && apt-get install -y -qq gcc libc6-dev; }

clean:
	$(CARGO) clean
	rm -rf $(CACHE)
