use std::ffi::{OsString, c_char, c_int};
use std::mem::MaybeUninit;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use xennet_core::hotplug::Call;
use xennet_core::types::Mode;

use crate::boundary::{call, given, hand_over, texts};
use crate::error::Error;
use crate::net::Net;
use crate::plan::Plan;

/// Does in this process what the hotplug script does when libxl executes it with these
/// arguments and this environment, both as execve(2) has them: arrays that end with NULL,
/// `argv[0]` the script's name, `envp` of "NAME=VALUE". The process's own environment is not
/// read; a NULL `envp` is an empty one. A script called vif-bridge, vif-route or vif-nat does
/// what this name says, any other one what the script of XenStore does.
///
/// libxl's four calls are "online" and "offline" with "type_if=vif", "add" and "remove" with
/// "type_if=tap"; XENBUS_PATH and vif (or INTERFACE) say which device. Those of the other
/// device do nothing, as they should. 0 stands for the exit code 0, everything else for 1.
/// Waits as xennet_vif_online() does. The changes that were made are in `done_r`, which may be
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_hotplug(
    net: Option<&mut Net>,
    argv: *const *const c_char,
    envp: *const *const c_char,
    done_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let net = given(net, "net")?;
        // SAFETY: C passes NULL or arrays of texts that end with NULL.
        let wanted = unsafe { parse(argv, envp) }?;
        let done = wanted.map(|wanted| wanted.run(&mut net.network)).transpose()?;
        hand_over(done_r, done.unwrap_or_default());
        Ok(())
    })
}

/// Says what xennet_hotplug() would do now. Touches nothing and waits for nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_hotplug_plan(
    net: Option<&mut Net>,
    argv: *const *const c_char,
    envp: *const *const c_char,
    plan_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let (net, plan_r) = (given(net, "net")?, given(plan_r, "plan_r")?);
        // SAFETY: C passes NULL or arrays of texts that end with NULL.
        let wanted = unsafe { parse(argv, envp) }?;
        let plan = wanted.map(|wanted| wanted.plan(&mut net.network)).transpose()?;
        hand_over(Some(plan_r), plan.unwrap_or_default());
        Ok(())
    })
}

/// # Safety
///
/// Each is NULL, or an array of texts that ends with NULL.
unsafe fn parse(
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> Result<Option<Call>, Error> {
    given((!argv.is_null()).then_some(()), "argv")?;
    // SAFETY: it is not NULL, and the caller promises the rest.
    let mut words = unsafe { texts(argv) }.into_iter();
    let script = words.next();
    let environment = if envp.is_null() {
        Vec::new()
    } else {
        // SAFETY: the same.
        unsafe { texts(envp) }
    };
    let env = |name: &str| environment.iter().find_map(|variable| value(variable, name));
    let mut call = Call::parse(words, env)?;
    if let Some(call) = &mut call {
        call.mode = script.as_ref().and_then(|script| Mode::of_script(script.to_str()?));
    }
    Ok(call)
}

/// The value of a `NAME=VALUE`, when that is its name.
fn value(variable: &OsString, name: &str) -> Option<OsString> {
    let rest = variable.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
    Some(OsString::from_vec(rest.to_owned()))
}
