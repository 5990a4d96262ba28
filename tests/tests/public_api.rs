//! The public API of `xennet-core`, committed as xennet-core/api.txt, so that a change of it shows in its diff.
//!
//! rustdoc writes the API as JSON, which the crate `public-api` prints one item a line. rustdoc's JSON is an unstable
//! format; `RUSTC_BOOTSTRAP=1` lets the stable toolchain write it, and `public-api` is pinned to a version that reads it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use public_api::Builder;
use xennet_tests::c::root;

static API: LazyLock<String> = LazyLock::new(|| public_api(&root().join("xennet-core")));

#[test]
fn public_api_matches_api_txt() {
    let file = root().join("xennet-core/api.txt");
    if env::var_os("BLESS").is_some() {
        fs::write(&file, API.as_str()).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap_or_default() == *API,
        "xennet-core/api.txt is out of date: BLESS=1 writes it; docs/rust.md says which change takes which version"
    );
}

#[test]
fn signatures_name_public_modules_and_std_only() {
    assert_eq!(leaks(&API), [""; 0]);
}

#[test]
fn private_modules_and_foreign_crates_are_leaks() {
    let api = "pub mod xennet_core
pub mod xennet_core::types
pub fn xennet_core::Vif<'n>::link(&self) -> core::option::Option<xennet_core::types::Interface>
pub fn xennet_core::Vif<'n>::port(&self) -> xennet_core::types::port::Port
pub fn xennet_core::Vif<'n>::socket(&self) -> &netlink_sys::Socket
";
    assert_eq!(leaks(api), ["xennet_core::types::port::Port", "netlink_sys::Socket"]);
}

/// Paths in the API that lead into a private module, or to a crate whose types the API does not name.
fn leaks(api: &str) -> Vec<String> {
    // serde: trait implementations only.
    let crates = ["alloc", "core", "ipnet", "serde_core", "std", "u32"];
    let modules: Vec<&str> = api.lines().filter_map(|line| line.strip_prefix("pub mod ")).collect();
    // The variants of `Error` carry opaque errors of internal modules.
    let lines = api.lines().filter(|line| !line.starts_with("pub xennet_core::Error::"));
    let words =
        lines.flat_map(|line| line.split(|c: char| !(c.is_alphanumeric() || "_:".contains(c))));
    let paths =
        words.filter(|word| word.split_once("::").is_some_and(|(first, _)| is_module(first)));
    let leak = |path: &&str| {
        let parts: Vec<&str> = path.split("::").collect();
        let length = parts.iter().take_while(|part| is_module(part)).count();
        // A path without a type ends with a function.
        let module = parts[..length.min(parts.len() - 1)].join("::");
        !crates.contains(&parts[0])
            && !modules.contains(&module.as_str())
            && !modules.contains(path)
    };
    paths.filter(leak).map(str::to_owned).collect()
}

/// Whether a part of a path is the name of a crate or module: types begin with a capital letter.
fn is_module(part: &str) -> bool {
    part.starts_with(char::is_lowercase)
}

/// The public API of the crate in a directory, without features. Implementations that `derive` or the compiler adds are left out.
fn public_api(manifest_dir: &Path) -> String {
    let json = rustdoc_json(manifest_dir);
    let api = Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .unwrap();
    api.to_string()
}

/// Runs rustdoc in a target directory of its own, because `RUSTC_BOOTSTRAP` makes cargo rebuild dependencies.
fn rustdoc_json(manifest_dir: &Path) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("public-api");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["rustdoc", "--quiet", "--locked", "--offline", "--lib", "--target-dir"])
        .arg(&target)
        .args(["--", "-Zunstable-options", "--output-format=json"])
        .current_dir(manifest_dir)
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("CARGO_BUILD_TARGET")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("doc/xennet_core.json")
}
