use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;

use xennet_core::BridgeConfig;
use xennet_core::types::IfName;

use crate::boundary::{bytes, call, given, hand_over, text};
use crate::error::Error;
use crate::list::Names;
use crate::net::Net;
use crate::plan::Plan;

/// Which Linux bridge is meant, and how it shall be made. It holds on to no network.
#[derive(Debug)]
pub struct Bridge {
    config: BridgeConfig,
}

impl Bridge {
    fn of<'n>(&self, net: Option<&'n mut Net>) -> Result<xennet_core::Bridge<'n>, Error> {
        Ok(given(net, "net")?.network.bridge(self.config.name.clone()))
    }
}

/// Names a bridge, which need not exist.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_bridge_new(
    name: *const c_char,
    bridge_r: Option<&mut MaybeUninit<Box<Bridge>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        // SAFETY: C passes NULL or a text.
        let name = IfName::from_bytes(unsafe { bytes(name, "name") }?)?;
        given(bridge_r, "bridge_r")?.write(Box::new(Bridge { config: BridgeConfig::new(name) }));
        Ok(())
    })
}

/// Sets how the bridge shall be made: "mac" and "mtu" to a value, or with "" to none; "stp" and
/// "vlan_filtering" to "0" or "1", "0" being the default. An error names the key, and changes
/// nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_bridge_set(
    bridge: Option<&mut Bridge>,
    key: *const c_char,
    value: *const c_char,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        // SAFETY: C passes NULL or texts.
        let (key, value) = unsafe { (text(key, "key")?, bytes(value, "value")?) };
        Ok(given(bridge, "bridge")?.config.set(key, value)?)
    })
}

/// Makes the bridge and brings it up. One that exists is brought up and keeps its settings;
/// that these contradict what is asked for is an error. The changes that were made are in
/// `done_r`, which may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_bridge_create(
    net: Option<&mut Net>,
    bridge: Option<&Bridge>,
    done_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let bridge = given(bridge, "bridge")?;
        hand_over(done_r, bridge.of(net)?.create(&bridge.config)?);
        Ok(())
    })
}

/// Deletes the bridge; one that is not there is no error. One that has ports is left alone
/// unless `force` is not 0. The changes that were made are in `done_r`, which may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_bridge_delete(
    net: Option<&mut Net>,
    bridge: Option<&Bridge>,
    force: c_int,
    done_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        hand_over(done_r, given(bridge, "bridge")?.of(net)?.delete(force != 0)?);
        Ok(())
    })
}

/// Says what xennet_bridge_create() would do now. Touches nothing.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_bridge_plan_create(
    net: Option<&mut Net>,
    bridge: Option<&Bridge>,
    plan_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let (plan_r, bridge) = (given(plan_r, "plan_r")?, given(bridge, "bridge")?);
        hand_over(Some(plan_r), bridge.of(net)?.plan_create(&bridge.config)?);
        Ok(())
    })
}

/// Says what xennet_bridge_delete() would do now. Touches nothing.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_bridge_plan_delete(
    net: Option<&mut Net>,
    bridge: Option<&Bridge>,
    force: c_int,
    plan_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let plan_r = given(plan_r, "plan_r")?;
        hand_over(Some(plan_r), given(bridge, "bridge")?.of(net)?.plan_delete(force != 0)?);
        Ok(())
    })
}

/// Says whether there is a bridge of that name: 1 or 0. An interface of another kind is none.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_bridge_exists(
    net: Option<&mut Net>,
    bridge: Option<&Bridge>,
    exists_r: Option<&mut MaybeUninit<c_int>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let exists_r = given(exists_r, "exists_r")?;
        let status = given(bridge, "bridge")?.of(net)?.show()?;
        exists_r.write(status.is_some().into());
        Ok(())
    })
}

/// Lists the names of the bridge's ports; none when there is no such bridge.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_bridge_ports(
    net: Option<&mut Net>,
    bridge: Option<&Bridge>,
    names_r: Option<&mut MaybeUninit<Box<Names>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let names_r = given(names_r, "names_r")?;
        let ports = given(bridge, "bridge")?.of(net)?.ports()?;
        names_r.write(Box::new(Names::new(ports.iter().map(|port| &port.name))));
        Ok(())
    })
}

/// Frees a bridge's name; the bridge itself stays as it is. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_bridge_free(bridge: Option<Box<Bridge>>) {
    drop(bridge);
}
