//! Gives the shared library the name that programs are linked with.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // cargo-c gives it one itself.
    if std::env::var_os("CARGO_FEATURE_CAPI").is_none() {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libxennet.so.0");
    }
}
