use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;

use xennet_core::config::VifConfig;
use xennet_core::types::{Device, Mode, ParseError, VifId};

use crate::boundary::{bytes, call, given, hand_over, text};
use crate::error::Error;
use crate::net::Net;
use crate::plan::Plan;
use crate::status::Status;

/// Which vif is meant, and what is known of it beside what XenStore says. It holds on to no
/// network: use it with any, and free it when you like.
#[derive(Debug)]
pub struct Vif {
    pub(crate) id: VifId,
    device: Device,
    mode: Option<Mode>,
    backend: Option<String>,
    defaults: Vec<(String, Vec<u8>)>,
    overrides: Vec<(String, Vec<u8>)>,
}

impl Vif {
    fn new(domid: u32, devid: u32, device: Device) -> Result<Self, Error> {
        let domid = u16::try_from(domid).map_err(|_| {
            ParseError::new("domid", domid.to_string(), "a domain's id, 0 to 65535")
        })?;
        let id = VifId { domid, devid };
        id.if_name(device)?;
        Ok(Self {
            id,
            device,
            mode: None,
            backend: None,
            defaults: Vec::new(),
            overrides: Vec::new(),
        })
    }

    fn of<'n>(&self, net: Option<&'n mut Net>) -> Result<xennet_core::Vif<'n>, Error> {
        let network = &mut given(net, "net")?.network;
        let mut vif = match self.device {
            Device::Vif => network.vif(self.id)?,
            Device::Tap => network.tap(self.id)?,
        };
        if let Some(backend) = &self.backend {
            vif.set_backend(backend);
        }
        if let Some(mode) = self.mode {
            vif.set_mode(mode);
        }
        self.defaults.iter().try_for_each(|(key, value)| vif.set_default(key, value))?;
        self.overrides.iter().try_for_each(|(key, value)| vif.set(key, value))?;
        Ok(vif)
    }
}

/// Names netback's interface of a guest, vifDOMID.DEVID: `devid` is the number of the device
/// within the guest.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_vif_new(
    domid: u32,
    devid: u32,
    vif_r: Option<&mut MaybeUninit<Box<Vif>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        given(vif_r, "vif_r")?.write(Box::new(Vif::new(domid, devid, Device::Vif)?));
        Ok(())
    })
}

/// Names the tap of an HVM guest's emulated NIC, vifDOMID.DEVID-emu, which belongs to the vif
/// of the same numbers.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_vif_new_tap(
    domid: u32,
    devid: u32,
    vif_r: Option<&mut MaybeUninit<Box<Vif>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        given(vif_r, "vif_r")?.write(Box::new(Vif::new(domid, devid, Device::Tap)?));
        Ok(())
    })
}

/// Sets a key that overrides XenStore: "bridge", "vifname", "mtu", "mac", "ip", "rate", "vlan",
/// "gatewaydev". Keys and values are XenStore's own, as in xl-network-configuration(5); an empty
/// value means that the key is not set. The value is checked here: an error names the key, and
/// changes nothing. xennet_vif_online() writes the key to the backend's directory, so that the
/// next one uses it too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_vif_set(
    vif: Option<&mut Vif>,
    key: *const c_char,
    value: *const c_char,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        // SAFETY: C passes NULL or texts.
        let (key, value) = unsafe { (text(key, "key")?, bytes(value, "value")?) };
        set(&mut given(vif, "vif")?.overrides, key, value)
    })
}

/// Sets a key that XenStore overrides: what to take where XenStore says nothing, or where there
/// is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_vif_set_default(
    vif: Option<&mut Vif>,
    key: *const c_char,
    value: *const c_char,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        // SAFETY: C passes NULL or texts.
        let (key, value) = unsafe { (text(key, "key")?, bytes(value, "value")?) };
        set(&mut given(vif, "vif")?.defaults, key, value)
    })
}

/// Sets the backend's directory in XenStore, absolute or relative to this domain's, instead of
/// backend/vif/DOMID/DEVID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_vif_set_backend(
    vif: Option<&mut Vif>,
    path: *const c_char,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        // SAFETY: C passes NULL or a text.
        given(vif, "vif")?.backend = Some(unsafe { text(path, "path") }?.to_owned());
        Ok(())
    })
}

/// Sets what the vif is plugged into, whatever the script of XenStore says: "bridge", "route" or
/// "nat", as by Xen's vif-bridge, vif-route and vif-nat. "" leaves it to XenStore, and where that
/// says nothing it is a bridge.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_vif_set_mode(
    vif: Option<&mut Vif>,
    mode: *const c_char,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        // SAFETY: C passes NULL or a text.
        let mode = unsafe { text(mode, "mode") }?;
        let mode = Some(mode).filter(|mode| !mode.is_empty()).map(str::parse).transpose()?;
        given(vif, "vif")?.mode = mode;
        Ok(())
    })
}

/// Plugs the vif in: waits for its interface, makes it a port of its bridge, or routes to it,
/// reads that back from the kernel, runs the administrator's hooks, and writes hotplug-status =
/// "connected". What is already so is left alone, so that it also repairs a vif, or changes it
/// in place.
///
/// When anything fails, all that was done is taken back, and XenStore is told as well
/// (hotplug-error, hotplug-status).
///
/// It takes about a millisecond, but may wait: for the interface (xennet_set_link_wait()), for
/// another process that is at work on the same vif, and for hooks; 30 seconds in all. The
/// changes that were made are in `done_r`, which may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_vif_online(
    net: Option<&mut Net>,
    vif: Option<&Vif>,
    done_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        hand_over(done_r, given(vif, "vif")?.of(net)?.online()?);
        Ok(())
    })
}

/// Unplugs the vif. That its interface, its bridge, its backend or XenStore itself is gone is
/// no error. The changes that were made are in `done_r`, which may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_vif_offline(
    net: Option<&mut Net>,
    vif: Option<&Vif>,
    done_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        hand_over(done_r, given(vif, "vif")?.of(net)?.offline()?);
        Ok(())
    })
}

/// Tells the bridge, and the switches behind it, that the guest is here now: for a guest that came from another host, has
/// begun to run, and does not say so itself as Linux does. Nothing for a tap, and for a vif that is in no bridge. What was
/// said is in `done_r`, which may be NULL.
///
/// Call it after the guest was unpaused; `announce = true` in xennet.toml does it in xennet_vif_online() already.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_vif_announce(
    net: Option<&mut Net>,
    vif: Option<&Vif>,
    done_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        hand_over(done_r, given(vif, "vif")?.of(net)?.announce()?);
        Ok(())
    })
}

/// Says what xennet_vif_online() would do now. Touches nothing and waits for nothing.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_vif_plan_online(
    net: Option<&mut Net>,
    vif: Option<&Vif>,
    plan_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let plan_r = given(plan_r, "plan_r")?;
        hand_over(Some(plan_r), given(vif, "vif")?.of(net)?.plan_online()?);
        Ok(())
    })
}

/// Says what xennet_vif_offline() would do now. Touches nothing.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_vif_plan_offline(
    net: Option<&mut Net>,
    vif: Option<&Vif>,
    plan_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let plan_r = given(plan_r, "plan_r")?;
        hand_over(Some(plan_r), given(vif, "vif")?.of(net)?.plan_offline()?);
        Ok(())
    })
}

/// Says what xennet_vif_announce() would do now. Touches nothing.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_vif_plan_announce(
    net: Option<&mut Net>,
    vif: Option<&Vif>,
    plan_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let plan_r = given(plan_r, "plan_r")?;
        hand_over(Some(plan_r), given(vif, "vif")?.of(net)?.plan_announce()?);
        Ok(())
    })
}

/// Says what the vif is now, what it shall be, and what it lacks.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_vif_status(
    net: Option<&mut Net>,
    vif: Option<&Vif>,
    status_r: Option<&mut MaybeUninit<Box<Status>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let status_r = given(status_r, "status_r")?;
        hand_over(Some(status_r), given(vif, "vif")?.of(net)?.status()?);
        Ok(())
    })
}

/// Frees a vif's name; the vif itself stays as it is. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_vif_free(vif: Option<Box<Vif>>) {
    drop(vif);
}

/// Sets a key once it is known to be good; what was set before is forgotten.
fn set(values: &mut Vec<(String, Vec<u8>)>, key: &str, value: &[u8]) -> Result<(), Error> {
    VifConfig::default().set(key, value)?;
    values.retain(|(other, _)| other != key);
    values.push((key.to_owned(), value.to_owned()));
    Ok(())
}
