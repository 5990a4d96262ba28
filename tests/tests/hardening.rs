//! The hardening of the built programs and of the library, as Debian's `hardening-check` looks for it.
//!
//! docs/performance.md names what does not apply to Rust.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::path::Path;
use std::process::Command;

use xennet_tests::c::{library, succeeded};
use xennet_tests::hotplug::{xennet, xennet_hotplug};

#[test]
fn programs_are_position_independent_without_writable_code_or_relocations() {
    for program in [xennet(), xennet_hotplug()] {
        let elf = Elf::read(&program);
        elf.assert_hardened();
        elf.assert(elf.dynamic("(FLAGS_1)").contains("PIE"), "has no random place (PIE)");
    }
}

#[test]
fn library_has_no_writable_code_or_relocations() {
    Elf::read(&library().join("libxennet.so")).assert_hardened();
}

/// What readelf says of a file.
struct Elf(String);

impl Elf {
    fn read(path: &Path) -> Self {
        let mut readelf = Command::new("readelf");
        readelf.args(["--wide", "--file-header", "--program-headers", "--dynamic"]).arg(path);
        Self(succeeded("readelf", &readelf.output().unwrap()))
    }

    fn assert_hardened(&self) {
        self.assert(self.line("  Type:").contains("DYN"), "has a fixed place");
        self.assert(self.line("  GNU_STACK").contains(" RW "), "has an executable stack");
        self.assert(!self.line("  GNU_RELRO").is_empty(), "has writable relocations (RELRO)");
        let flags = self.dynamic("(FLAGS)");
        self.assert(flags.contains("BIND_NOW"), "is relocated while it runs (BIND_NOW)");
        self.assert(!flags.contains("TEXTREL"), "has relocations in its code");
        let segments = || self.0.lines().filter(|line| line.starts_with("  LOAD"));
        self.assert(segments().count() > 0, "has no segments");
        self.assert(!segments().any(|line| line.contains(" RWE ")), "has writable code");
    }

    fn assert(&self, holds: bool, fault: &str) {
        assert!(holds, "it {fault}:\n{}", self.0);
    }

    fn dynamic(&self, tag: &str) -> &str {
        self.0.lines().find(|line| line.contains(tag)).unwrap_or_default()
    }

    fn line(&self, start: &str) -> &str {
        self.0.lines().find(|line| line.starts_with(start)).unwrap_or_default()
    }
}
