# xennet: `make demo` shows it at work, `make test` proves it. Both install what they need, and say so.

CARGO ?= cargo
CACHE := .cache
DENY_VERSION := 0.20.2

# Both programs are static: loading shared libraries is a third of the work of a dynamic program for a plug.
# They are linked with musl where Rust has it (`rustup target add x86_64-unknown-linux-musl`), else with glibc, whose start takes
# a fifth of a plug. The target is always named, because procedural macros, which are for the host, cannot be static.
GLIBC := $(or $(shell rustc --version --verbose 2>/dev/null | sed -n 's/^host: //p'),$(shell uname -m)-unknown-linux-gnu)
MUSL := $(GLIBC:-gnu=-musl)
HOST := $(if $(wildcard $(shell rustc --print target-libdir --target $(MUSL) 2>/dev/null)),$(MUSL),$(GLIBC))
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
XENNET := $(TARGET)/$(HOST)/release/xennet
# The hotplug script alone; cargo builds it in the same directory.
HOTPLUG = $(dir $(XENNET))xennet-hotplug
LIBXENNET := $(TARGET)/ffi
# Where the packages come to be.
DEB := $(TARGET)/deb

# Xen's scripts that xennet can be.
SCRIPTS := vif-bridge vif-route vif-nat vif-openvswitch network-bridge network-route network-nat network-dummy

# Where `make install` puts things; DESTDIR stands before each.
PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
LIBEXECDIR ?= $(PREFIX)/libexec/xennet
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
EXAMPLEDIR ?= $(PREFIX)/share/doc/xennet/examples
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d
UNITDIR ?= $(PREFIX)/lib/systemd/system
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
SCRIPTDIR ?= /etc/xen/scripts
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
# What programs are linked with; it changes when the ABI breaks.
SONAME := libxennet.so.0
# Static and position-independent (static-pie): the kernel loads the programs at random addresses. rustc asks the linker for full
# RELRO. tests/tests/hardening.rs checks the result.
STATIC := RUSTFLAGS="$(RUSTFLAGS) -C target-feature=+crt-static" $(CARGO) build --locked --release --target $(HOST)

.PHONY: all build lib header demo test test-faults fuzz test-xen bench check setup clean
.PHONY: install uninstall install-scripts uninstall-scripts deb test-deb

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

# Everything that runs on this kernel: needs root, for network namespaces and for what tests/setup installs. Most tests wait, for
# the kernel or for another process, so two run on each processor.
test: setup build lib
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((2 * $$(nproc)))} XENNET_BIN=$(XENNET) XENNET_LIB=$(LIBXENNET) $(CARGO) test --locked --workspace

# Every error and kill at every system call, and several errors at once: hours. XENNET_ROW=NAME takes the scenarios of that name.
test-faults: setup build lib
	XENNET_FAULTS=all XENNET_BIN=$(XENNET) $(CARGO) test --locked --package xennet-tests --test faults -- --nocapture --test-threads 1

# Bytes of any kind for each decoder: so many inputs for each of the eight.
INPUTS ?= 1250000
fuzz:
	XENNET_INPUTS=$(INPUTS) $(CARGO) test --locked --release --package xennet-tests --test fuzz -- --nocapture

# Real Xen under software emulation; see tests/xen/README.md.
test-xen: setup build
	XENNET_BIN=$(XENNET) tests/xen/run

# Figures, not tests: all of them, written to docs/; or a quick look, as by ARGS="--rounds 3 --fill 0 --only plugs".
ARGS ?= --write
bench: setup build lib
	install -d $(TARGET)/$(HOST)/bench
	install -m 755 $(XENNET) $(HOTPLUG) $(TARGET)/$(HOST)/bench
	XENNET_BIN=$(TARGET)/$(HOST)/bench/xennet XENNET_LIB=$(LIBXENNET) $(CARGO) bench --locked --package xennet-benches --bench performance -- $(ARGS)

check: cc
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings
	@# Without the feature `internals`, which the workspace as a whole enables. Clippy's lints on public items need that feature.
	RUSTFLAGS="--deny warnings" $(CARGO) check --locked
	RUSTFLAGS="--deny warnings" $(CARGO) check --locked --package xennet-core
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --locked --package xennet-core --no-deps
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items
	@# What crates.io would get.
	$(CARGO) package --locked --allow-dirty --no-verify --quiet
	@test -x $(CACHE)/tools/bin/cargo-deny || { \
		echo "check: installing cargo-deny $(DENY_VERSION) below $(CACHE)"; \
		$(CARGO) install --debug --quiet --locked --root $(CACHE)/tools cargo-deny --version $(DENY_VERSION); }
	$(CACHE)/tools/bin/cargo-deny --locked --workspace check bans licenses sources

# Fills in where things are.
FILL = sed -e 's|@prefix@|$(PREFIX)|' -e 's|@libdir@|$(LIBDIR)|' -e 's|@includedir@|$(INCLUDEDIR)|' \
	-e 's|@sbindir@|$(SBINDIR)|' -e 's|@libexecdir@|$(LIBEXECDIR)|' -e 's|@scriptdir@|$(SCRIPTDIR)|' -e 's|@scripts@|$(SCRIPTS)|' -e 's|@version@|$(VERSION)|'
# The names of the hotplug script that leave Xen's own alone.
NAMES := vif-xennet $(patsubst %,%.xennet,$(filter vif-%,$(SCRIPTS)))
# Each function of the library is a page too.
FUNCTIONS := $(shell cat xennet-ffi/symbols.txt)

# Installs what `make` has built. xl uses it where a guest's script= or xl.conf's vif.default.script= says vif-xennet.
install:
	@test -x $(XENNET) && test -x $(HOTPLUG) && test -e $(LIBXENNET)/libxennet.so || { echo "install: nothing is built yet; run make" >&2; exit 1; }
	install -d $(addprefix $(DESTDIR),$(SBINDIR) $(LIBEXECDIR) $(LIBDIR)/pkgconfig $(INCLUDEDIR) $(EXAMPLEDIR) $(SCRIPTDIR) $(UNITDIR) \
		$(TMPFILESDIR) $(BASHDIR) $(ZSHDIR) $(FISHDIR) $(MANDIR)/man3 $(MANDIR)/man5 $(MANDIR)/man8)
	install -m 755 $(XENNET) $(DESTDIR)$(SBINDIR)/xennet
	install -m 755 $(HOTPLUG) $(DESTDIR)$(LIBEXECDIR)/xennet-hotplug
	$(FILL) dist/xennet-install-scripts.in >$(DESTDIR)$(SBINDIR)/xennet-install-scripts
	chmod 755 $(DESTDIR)$(SBINDIR)/xennet-install-scripts
	for name in $(NAMES); do ln -sf $(LIBEXECDIR)/xennet-hotplug $(DESTDIR)$(SCRIPTDIR)/$$name || exit; done
	install -m 644 dist/xennet.toml $(DESTDIR)$(EXAMPLEDIR)/xennet.toml
	$(FILL) dist/xennet-network.service.in >$(DESTDIR)$(UNITDIR)/xennet-network.service
	install -m 644 dist/xennet.tmpfiles $(DESTDIR)$(TMPFILESDIR)/xennet.conf
	install -m 644 dist/completions/xennet.bash $(DESTDIR)$(BASHDIR)/xennet
	install -m 644 dist/completions/_xennet $(DESTDIR)$(ZSHDIR)/_xennet
	install -m 644 dist/completions/xennet.fish $(DESTDIR)$(FISHDIR)/xennet.fish
	install -m 644 dist/man/xennet.8 $(DESTDIR)$(MANDIR)/man8/xennet.8
	ln -sf xennet.8 $(DESTDIR)$(MANDIR)/man8/xennet-install-scripts.8
	install -m 644 dist/man/xennet.toml.5 $(DESTDIR)$(MANDIR)/man5/xennet.toml.5
	install -m 644 $(LIBXENNET)/libxennet.so $(DESTDIR)$(LIBDIR)/libxennet.so.$(VERSION)
	ln -sf libxennet.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libxennet.so
	install -m 644 $(LIBXENNET)/libxennet.a $(DESTDIR)$(LIBDIR)/libxennet.a
	install -m 644 include/libxennet.h $(DESTDIR)$(INCLUDEDIR)/libxennet.h
	$(FILL) dist/xennet.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/xennet.pc
	install -m 644 dist/man/libxennet.3 $(DESTDIR)$(MANDIR)/man3/libxennet.3
	for name in $(FUNCTIONS); do ln -sf libxennet.3 $(DESTDIR)$(MANDIR)/man3/$$name.3 || exit; done

# Takes away all that `make install` installed, and nothing else.
uninstall: uninstall-scripts
	rm -f $(addprefix $(DESTDIR)$(SBINDIR)/,xennet xennet-install-scripts) $(addprefix $(DESTDIR)$(SCRIPTDIR)/,$(NAMES))
	rm -f $(DESTDIR)$(LIBEXECDIR)/xennet-hotplug
	rm -f $(addprefix $(DESTDIR),$(EXAMPLEDIR)/xennet.toml $(UNITDIR)/xennet-network.service $(TMPFILESDIR)/xennet.conf)
	rm -f $(addprefix $(DESTDIR),$(BASHDIR)/xennet $(ZSHDIR)/_xennet $(FISHDIR)/xennet.fish)
	rm -f $(addprefix $(DESTDIR)$(MANDIR)/,man8/xennet.8 man8/xennet-install-scripts.8 man5/xennet.toml.5)
	rm -f $(patsubst %,$(DESTDIR)$(MANDIR)/man3/%.3,libxennet $(FUNCTIONS)) $(DESTDIR)$(INCLUDEDIR)/libxennet.h
	rm -f $(addprefix $(DESTDIR)$(LIBDIR)/,libxennet.so.$(VERSION) $(SONAME) libxennet.so libxennet.a pkgconfig/xennet.pc)

# Lets xennet be vif-bridge and its like, so that it plugs every vif without any configuration. Xen's own are kept as *.xen.
install-scripts:
	@test -x $(DESTDIR)$(SBINDIR)/xennet-install-scripts || { echo "install-scripts: run make install first" >&2; exit 1; }
	DESTDIR=$(DESTDIR) $(DESTDIR)$(SBINDIR)/xennet-install-scripts

# Lets Xen's own scripts be there again.
uninstall-scripts:
	if [ -x $(DESTDIR)$(SBINDIR)/xennet-install-scripts ]; then \
		DESTDIR=$(DESTDIR) $(DESTDIR)$(SBINDIR)/xennet-install-scripts --remove; fi

# Debian packages of what `make` builds: xennet, libxennet0 and libxennet-dev. Built in a copy, because dpkg-buildpackage
# puts them beside the sources; without asking for Build-Depends, because today's Rust is none of Debian 12's packages.
deb: all
	@command -v dh >/dev/null || { echo "deb: installing debhelper and dpkg-dev"; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends debhelper dpkg-dev; }
	rm -rf $(DEB) && mkdir -p $(DEB)/xennet-$(VERSION)
	tar -cf - --exclude-vcs --exclude=./.cache --exclude=./target . | tar -xf - -C $(DEB)/xennet-$(VERSION)
	cd $(DEB)/xennet-$(VERSION) && XENNET=$(XENNET) LIBXENNET=$(LIBXENNET) \
		dpkg-buildpackage --build=binary --no-sign --no-check-builddeps
	rm -rf $(DEB)/xennet-$(VERSION)
	@echo "deb: they are in $(DEB)"

# The packages, in a Debian of their own: lintian, installed, used, upgraded, purged.
test-deb: deb
	tests/deb/run $(DEB)

setup: cc
	tests/setup

.PHONY: cc
cc:
	@command -v cc >/dev/null || { echo "make: installing gcc, which Rust links with"; apt-get update -qq && apt-get install -y -qq gcc libc6-dev; }

clean:
	$(CARGO) clean
	rm -rf $(CACHE)
