# xennet: `make demo` shows it at work, `make test` proves it. Both install what they need, and say so.

CARGO ?= cargo
CACHE := .cache
DENY_VERSION := 0.20.2

# The command is one static file: a third of what a dynamic one does for a plug is loading its libraries.
# Only for the target, because a procedural macro cannot be static: so the target is named, though it is this machine.
HOST := $(or $(shell rustc --version --verbose 2>/dev/null | sed -n 's/^host: //p'),$(shell uname -m)-unknown-linux-gnu)
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
XENNET := $(TARGET)/$(HOST)/release/xennet
LIBXENNET := $(TARGET)/ffi

# Where `make install` puts things; DESTDIR stands before each.
PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
SCRIPTDIR ?= /etc/xen/scripts
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
# What programs are linked with; it changes when the ABI breaks.
SONAME := libxennet.so.0
# It lies anywhere in memory, and has to put its own addresses right: they are packed, which is a tenth of the work.
STATIC := RUSTFLAGS="$(RUSTFLAGS) -C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs" $(CARGO) build --locked --release --target $(HOST)

.PHONY: all build lib header demo test test-xen bench check setup clean
.PHONY: install uninstall install-scripts uninstall-scripts

all: build lib

# libxennet.so and libxennet.a.
lib: cc
	$(CARGO) build --locked --profile ffi --package xennet-ffi

# include/libxennet.h, from the sources; a test fails when it is not up to date.
header: setup
	$(CACHE)/tools/bin/cbindgen --quiet --config xennet-ffi/cbindgen.toml --output include/libxennet.h xennet-ffi

build: cc
	$(STATIC) --package xennet-cli

# Two guests on a bridge, each in a network namespace of its own. Needs no root, no Xen and no other tool.
demo: build
	$(XENNET) demo

# Everything that runs on this kernel: needs root, for network namespaces and for what tests/setup installs.
test: setup build lib
	XENNET_BIN=$(XENNET) XENNET_LIB=$(LIBXENNET) $(CARGO) test --locked --workspace

# Real Xen under software emulation; see tests/xen/README.md.
test-xen: setup build
	XENNET_BIN=$(XENNET) tests/xen/run

# Figures, not tests: all of them, written to docs/; or a quick look, as by ARGS="--rounds 3 --fill 0 --only plugs".
ARGS ?= --write
bench: setup build lib
	XENNET_BIN=$(XENNET) XENNET_LIB=$(LIBXENNET) $(CARGO) bench --locked --package xennet-benches --bench performance -- $(ARGS)

check: cc
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items
	@test -x $(CACHE)/tools/bin/cargo-deny || { \
		echo "check: installing cargo-deny $(DENY_VERSION) below $(CACHE)"; \
		$(CARGO) install --quiet --locked --root $(CACHE)/tools cargo-deny --version $(DENY_VERSION); }
	$(CACHE)/tools/bin/cargo-deny --locked --workspace check bans licenses sources

# Installs what `make` has built. xl uses it where a guest's script= or xl.conf's vif.default.script= says vif-xennet.
install:
	@test -x $(XENNET) && test -e $(LIBXENNET)/libxennet.so || { echo "install: nothing is built yet; run make" >&2; exit 1; }
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(SCRIPTDIR)
	install -m 755 $(XENNET) $(DESTDIR)$(SBINDIR)/xennet
	install -m 644 $(LIBXENNET)/libxennet.so $(DESTDIR)$(LIBDIR)/libxennet.so.$(VERSION)
	ln -sf libxennet.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libxennet.so
	install -m 644 $(LIBXENNET)/libxennet.a $(DESTDIR)$(LIBDIR)/libxennet.a
	install -m 644 include/libxennet.h $(DESTDIR)$(INCLUDEDIR)/libxennet.h
	sed -e 's|@prefix@|$(PREFIX)|' -e 's|@libdir@|$(LIBDIR)|' -e 's|@includedir@|$(INCLUDEDIR)|' -e 's|@version@|$(VERSION)|' \
		dist/xennet.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/xennet.pc
	ln -sf $(SBINDIR)/xennet $(DESTDIR)$(SCRIPTDIR)/vif-xennet
	ln -sf $(SBINDIR)/xennet $(DESTDIR)$(SCRIPTDIR)/vif-bridge.xennet

# Takes away all that `make install` installed, and nothing else.
uninstall: uninstall-scripts
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,libxennet.so.$(VERSION) $(SONAME) libxennet.so libxennet.a pkgconfig/xennet.pc)
	rm -f $(DESTDIR)$(INCLUDEDIR)/libxennet.h $(DESTDIR)$(SBINDIR)/xennet
	rm -f $(DESTDIR)$(SCRIPTDIR)/vif-xennet $(DESTDIR)$(SCRIPTDIR)/vif-bridge.xennet

# Lets xennet be vif-bridge, so that it plugs every vif without any configuration. Xen's own is kept as vif-bridge.xen.
install-scripts: BRIDGE = $(DESTDIR)$(SCRIPTDIR)/vif-bridge
install-scripts:
	@test -L $(DESTDIR)$(SCRIPTDIR)/vif-bridge.xennet || { echo "install-scripts: run make install first" >&2; exit 1; }
	@# What is ours already must not take the place of Xen's.
	if [ -e $(BRIDGE) ] && [ "$$(readlink $(BRIDGE))" != vif-bridge.xennet ]; then mv $(BRIDGE) $(BRIDGE).xen; fi
	ln -sf vif-bridge.xennet $(BRIDGE)

# Lets Xen's own script be vif-bridge again.
uninstall-scripts: BRIDGE = $(DESTDIR)$(SCRIPTDIR)/vif-bridge
uninstall-scripts:
	if [ "$$(readlink $(BRIDGE))" = vif-bridge.xennet ]; then rm $(BRIDGE); fi
	if [ -e $(BRIDGE).xen ] && [ ! -e $(BRIDGE) ]; then mv $(BRIDGE).xen $(BRIDGE); fi

setup: cc
	tests/setup

.PHONY: cc
cc:
	@command -v cc >/dev/null || { echo "make: installing gcc, which Rust links with"; apt-get update -qq && apt-get install -y -qq gcc libc6-dev; }

clean:
	$(CARGO) clean
	rm -rf $(CACHE)
