# xennet: `make demo` shows it at work, `make test` proves it. Both install what they need, and say so.

CARGO ?= cargo
CACHE := .cache
DENY_VERSION := 0.20.2

.PHONY: all demo test test-xen check setup clean

all:
	$(CARGO) build --release --locked

# Two guests on a bridge, each in a network namespace of its own. Needs no root, no Xen and no other tool.
demo: cc
	$(CARGO) build --quiet --release --locked --package xennet-cli
	target/release/xennet demo

# Everything that runs on this kernel: needs root, for network namespaces and for what tests/setup installs.
test: setup
	$(CARGO) build --locked --package xennet-cli
	$(CARGO) test --locked --workspace

# Real Xen under software emulation; see tests/xen/README.md.
test-xen: setup
	$(CARGO) build --locked --release --package xennet-cli
	tests/xen/run

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
