//! The public API of `xennet-core`, committed as xennet-core/api.txt, so that a change of it shows in its diff.
//!
//! rustdoc writes the API as JSON, which the crate `public-api` prints one item a line. rustdoc's JSON is an unstable
//! format; `RUSTC_BOOTSTRAP=1` lets the stable toolchain write it, and `public-api` is pinned to a version that reads it.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use public_api::Builder;
use xennet_tests::c::root;

#[test]
fn public_api_matches_api_txt() {
    let api = public_api(&root().join("xennet-core"));
    let file = root().join("xennet-core/api.txt");
    if env::var_os("BLESS").is_some() {
        fs::write(&file, &api).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap_or_default() == api,
        "xennet-core/api.txt is out of date: BLESS=1 writes it; README.md says which change takes which version"
    );
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
