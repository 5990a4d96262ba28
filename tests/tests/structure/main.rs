//! The structure of the three crates: layers, cycles, what is written once, and the length of files. The tests read the
//! sources.
//!
//! The tables are data: `layers::CORE` and `layers::ABOVE_CORE`, `once::RULES`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot read the sources must fail"
)]

mod cycles;
mod layers;
mod length;
mod once;
mod sources;
mod tokens;

use std::path::Path;
use std::sync::LazyLock;

use sources::Crate;

static CORE: LazyLock<Crate> = LazyLock::new(|| read("xennet-core"));
static CLI: LazyLock<Crate> = LazyLock::new(|| read("xennet-cli"));
static FFI: LazyLock<Crate> = LazyLock::new(|| read("xennet-ffi"));

#[test]
fn layers_of_core_point_down() {
    check(&layers::violations(&CORE, layers::CORE));
}

#[test]
fn crates_above_core_have_no_network_knowledge() {
    check(&layers::above_core(&CLI));
    check(&layers::above_core(&FFI));
}

#[test]
fn modules_have_no_cycles() {
    check(&cycles::cycles(&CORE, &[]));
    check(&cycles::cycles(&CLI, &[]));
    check(&cycles::cycles(&FFI, &[]));
}

#[test]
fn what_is_written_once_is_in_one_place() {
    check(&once::violations("xennet-core", &CORE, once::RULES));
    check(&once::violations("xennet-cli", &CLI, once::RULES));
    check(&once::violations("xennet-ffi", &FFI, once::RULES));
}

#[test]
fn no_file_is_too_long() {
    check(&length::too_long(&CORE, &[]));
    check(&length::too_long(&CLI, &[]));
    check(&length::too_long(&FFI, &[]));
}

fn read(name: &str) -> Crate {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let krate = Crate::read(&root.join(name).join("src"));
    assert!(krate.files.len() > 10, "{name}: {:?}", krate.files.keys());
    krate
}

fn check(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}
