use std::ffi::{CString, c_char, c_int, c_uint};

use xennet_core::VifStatus;
use xennet_core::config::VifConfig;
use xennet_core::types::Interface;

use crate::boundary::text;
use crate::c_text::{c_text, pointer};
use crate::error::Error;
use crate::plan::Plan;

/// What a vif was at one moment. Everything that it gives lives as long as it does.
#[derive(Debug)]
pub struct Status {
    mode: CString,
    link: Option<Interface>,
    ifname: Option<CString>,
    mac: Option<CString>,
    master: Option<CString>,
    #[expect(clippy::struct_field_names, reason = "hotplug-status is what XenStore calls it")]
    hotplug_status: Option<CString>,
    hotplug_error: Option<CString>,
    wanted: Vec<(&'static str, CString)>,
    drift: Option<Plan>,
    error: Option<Error>,
}

impl From<VifStatus> for Status {
    fn from(status: VifStatus) -> Self {
        let stored = |bytes: Option<Vec<u8>>| {
            bytes.map(|bytes| c_text(String::from_utf8_lossy(&bytes).into_owned()))
        };
        let link = status.link;
        let wanted = |config: &VifConfig| {
            let keys = VifConfig::KEYS.into_iter();
            keys.filter_map(|key| Some((key, c_text(config.get(key)?)))).collect()
        };
        let (drift, contradiction) = match status.drift.transpose() {
            Ok(drift) => (drift, None),
            Err(error) => (None, Some(error.into())),
        };
        Self {
            mode: c_text(status.mode.to_string()),
            ifname: link.as_ref().map(|link| c_text(link.name.as_str())),
            mac: link.as_ref().and_then(|link| Some(c_text(link.mac?.to_string()))),
            master: status.master.map(|master| c_text(master.as_str())),
            hotplug_status: stored(status.hotplug_status),
            hotplug_error: stored(status.hotplug_error),
            wanted: status.config.as_ref().map(wanted).unwrap_or_default(),
            drift: drift.map(Plan::from),
            error: status.config.as_ref().err().map(Error::from).or(contradiction),
            link,
        }
    }
}

/// The present name of its interface; NULL when it has none.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_status_ifname(status: Option<&Status>) -> *const c_char {
    pointer(status.and_then(|status| status.ifname.as_ref()))
}

/// The index of its interface, as if_nametoindex(3) has it; 0 when it has none.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_status_ifindex(status: Option<&Status>) -> c_uint {
    link(status).map_or(0, |link| link.index)
}

/// Whether its interface is up (IFF_UP): 1 or 0.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_status_up(status: Option<&Status>) -> c_int {
    link(status).is_some_and(|link| link.up).into()
}

/// Whether its interface has a carrier, that is, whether its guest is connected: 1 or 0.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_status_carrier(status: Option<&Status>) -> c_int {
    link(status).is_some_and(|link| link.carrier).into()
}

/// The MTU of its interface in bytes; 0 when it has none.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_status_mtu(status: Option<&Status>) -> c_uint {
    link(status).map_or(0, |link| link.mtu)
}

/// The hardware address of its interface, "fe:ff:ff:ff:ff:ff"; NULL when it has none.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_status_mac(status: Option<&Status>) -> *const c_char {
    pointer(status.and_then(|status| status.mac.as_ref()))
}

/// The bridge (or other master) that its interface is a port of; NULL when it is none.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_status_master(status: Option<&Status>) -> *const c_char {
    pointer(status.and_then(|status| status.master.as_ref()))
}

/// What the vif is plugged into: "bridge", "route" or "nat", as xennet_vif_set_mode() has it.
/// Later versions may have more. NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_status_mode(status: Option<&Status>) -> *const c_char {
    pointer(status.map(|status| &status.mode))
}

/// What XenStore has as hotplug-status, "connected" when all is well; NULL when there is no
/// such key.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_status_hotplug_status(status: Option<&Status>) -> *const c_char {
    pointer(status.and_then(|status| status.hotplug_status.as_ref()))
}

/// What XenStore has as hotplug-error; NULL when there is no such key.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_status_hotplug_error(status: Option<&Status>) -> *const c_char {
    pointer(status.and_then(|status| status.hotplug_error.as_ref()))
}

/// What the vif shall be: the value of a key of xennet_vif_set(), from the defaults, XenStore
/// and the overrides, each over the one before. NULL when the key is not set or not known, or
/// when there is an xennet_status_error().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_status_wanted(
    status: Option<&Status>,
    key: *const c_char,
) -> *const c_char {
    // SAFETY: C passes NULL or a text.
    let Ok(key) = (unsafe { text(key, "key") }) else { return std::ptr::null() };
    let wanted = status.and_then(|status| status.wanted.iter().find(|(name, _)| *name == key));
    pointer(wanted.map(|(_, value)| value))
}

/// What xennet_vif_online() would do: an empty plan when all is well. NULL when nothing can be
/// planned: then there is an xennet_status_error(). Do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_status_drift(status: Option<&Status>) -> Option<&Plan> {
    status?.drift.as_ref()
}

/// Why xennet_vif_online() would fail at once: a bad value, no such bridge, no backend. NULL
/// when it would not. Do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_status_error(status: Option<&Status>) -> Option<&Error> {
    status?.error.as_ref()
}

/// Frees a status. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_status_free(status: Option<Box<Status>>) {
    drop(status);
}

fn link(status: Option<&Status>) -> Option<&Interface> {
    status?.link.as_ref()
}
