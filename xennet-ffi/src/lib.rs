//! The C ABI of xennet. Each function is one call into `xennet-core`.

use std::ffi::c_char;

/// The version of the library, as a string that lives as long as the program: `"0.1.0"`.
// SAFETY: the name is this library's own prefix, so it clashes with no other symbol.
#[expect(unsafe_code, reason = "an exported symbol is unsafe by name")]
#[unsafe(no_mangle)]
pub extern "C" fn xennet_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
