#![expect(dead_code, reason = "for the header only")]

use std::ffi::c_char;

/// The version of this header: programs test for a feature by its XENNET_HAVE_ macro.
pub const XENNET_VERSION_MAJOR: u32 = 0;
/// See XENNET_VERSION_MAJOR.
pub const XENNET_VERSION_MINOR: u32 = 1;
/// See XENNET_VERSION_MAJOR.
pub const XENNET_VERSION_PATCH: u32 = 0;

/// There is `xennet_vif_*()`, for the vifs and taps of Linux bridges.
pub const XENNET_HAVE_VIF: u32 = 1;
/// There is `xennet_bridge_*()`.
pub const XENNET_HAVE_BRIDGE: u32 = 1;
/// There is xennet_vif_set_mode(), and vifs that are routed.
pub const XENNET_HAVE_VIF_MODE: u32 = 1;
/// There is xennet_vif_announce().
pub const XENNET_HAVE_VIF_ANNOUNCE: u32 = 1;
/// There is `xennet_guard_*()`.
pub const XENNET_HAVE_GUARD: u32 = 1;
/// There is `xennet_network_*()`.
pub const XENNET_HAVE_NETWORK: u32 = 1;
/// There is xennet_hotplug().
pub const XENNET_HAVE_HOTPLUG: u32 = 1;
/// There is `xennet_events_*()`.
pub const XENNET_HAVE_EVENTS: u32 = 1;

/// The version of the library that the program runs with, such as "0.1.0". It lives as long as
/// the program.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_what_the_package_says() {
        let header =
            format!("{XENNET_VERSION_MAJOR}.{XENNET_VERSION_MINOR}.{XENNET_VERSION_PATCH}");
        assert_eq!(header, env!("CARGO_PKG_VERSION"));
    }
}
