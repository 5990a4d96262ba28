use std::ffi::{CString, c_char, c_int, c_uint};
use std::mem::MaybeUninit;
use std::time::Duration;

use serde_json::json;
use xennet_core::{HostStatus, Unconfirmed};

use crate::boundary::{call, given, hand_over, path};
use crate::c_text::{c_line, c_text, pointer};
use crate::error::Error;
use crate::net::Net;
use crate::plan::Plan;

/// What the host's side of the network was at one moment: bridges, the host's own addresses,
/// forwarding. Everything that it gives lives as long as it does.
#[derive(Debug)]
pub struct NetworkState {
    started: bool,
    drift: Result<Plan, Error>,
    unconfirmed: Option<Unconfirmed>,
    rolled_back: Option<CString>,
    json: CString,
}

impl From<HostStatus> for NetworkState {
    fn from(status: HostStatus) -> Self {
        Self {
            started: status.is_started(),
            json: c_text(json!(status).to_string()),
            drift: status.drift.map(Plan::from).map_err(Error::from),
            unconfirmed: status.unconfirmed,
            rolled_back: status.rolled_back.map(|last| c_line(&last.why)),
        }
    }
}

/// Makes the host's side as the configuration says (xennet_set_config(), xennet_load_config()),
/// and reads back that it is so: bridges, with the host's addresses and routes moved to them
/// while connections stay, and forwarding. What fails is taken back; what there was is written
/// down in the directory of xennet_set_run_dir(), for xennet_network_stop().
///
/// It is kept at once, as at boot: who may lose his own connection by it wants
/// xennet_network_start_on_trial(). One that is yet to be confirmed is an error (-EBUSY). It may
/// wait 30 seconds for another that is at work. The changes that were made are in `done_r`,
/// which may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_network_start(
    net: Option<&mut Net>,
    done_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        hand_over(done_r, given(net, "net")?.network.host().start()?);
        Ok(())
    })
}

/// The same, and all is taken back unless xennet_network_confirm() is called, here or elsewhere,
/// within `confirm` seconds: at once when a default gateway that answered before does not answer
/// within `probe` seconds, and when this process ends midway.
///
/// That takes a second process, which is there before the first change: `xennet` is the path of
/// the xennet command, such as "/usr/sbin/xennet". It runs in the calling thread's network
/// namespace, in a session of its own. It is a child of this process, and its number is in
/// `watchdog_r`, for waitpid(2): it ends once the start is confirmed, stopped or taken back. The
/// number is 0 when there was nothing to do, and so nothing to confirm.
///
/// Should this call not come to an end within two minutes (and twice `probe` seconds), the
/// watchdog kills this process (SIGKILL), which holds the lock, and takes back what was done:
/// call it in a process that may end. The changes that were made are in `done_r`, which may be
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_network_start_on_trial(
    net: Option<&mut Net>,
    xennet: *const c_char,
    confirm: c_uint,
    probe: c_uint,
    watchdog_r: Option<&mut MaybeUninit<c_int>>,
    done_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let (net, watchdog_r) = (given(net, "net")?, given(watchdog_r, "watchdog_r")?);
        // SAFETY: C passes NULL or a text.
        let xennet = unsafe { path(xennet, "xennet") }?;
        let [confirm, probe] = [confirm, probe].map(|time| Duration::from_secs(time.into()));
        let (done, watchdog) = net.network.host().start_watched(xennet, confirm, probe)?;
        // A process's number is an int.
        watchdog_r.write(watchdog.map_or(0, |child| child.id().cast_signed()));
        hand_over(done_r, done);
        Ok(())
    })
}

/// Keeps what an unconfirmed start has made, whoever started it, and waits until its watchdog
/// has let go. -ENOENT when there is none to confirm, and then the error says why; -EBUSY when
/// it ended before it was done.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_network_confirm(
    net: Option<&mut Net>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        given(net, "net")?.network.host().confirm()?;
        Ok(())
    })
}

/// Gives back what a start took, confirmed or not; that it took nothing is no error. A bridge of
/// xennet's own that has guests on it stops it (-EBUSY), unless `force` is not 0. The changes
/// that were made are in `done_r`, which may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_network_stop(
    net: Option<&mut Net>,
    force: c_int,
    done_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        hand_over(done_r, given(net, "net")?.network.host().stop(force != 0)?);
        Ok(())
    })
}

/// Says what xennet_network_start() would do now. Touches nothing.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_network_plan_start(
    net: Option<&mut Net>,
    plan_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let plan_r = given(plan_r, "plan_r")?;
        hand_over(Some(plan_r), given(net, "net")?.network.host().plan_start()?);
        Ok(())
    })
}

/// Says what xennet_network_stop() would do now. Touches nothing.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_network_plan_stop(
    net: Option<&mut Net>,
    force: c_int,
    plan_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let plan_r = given(plan_r, "plan_r")?;
        hand_over(Some(plan_r), given(net, "net")?.network.host().plan_stop(force != 0)?);
        Ok(())
    })
}

/// Says how far the host's side is from what the configuration says. Touches nothing.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_network_status(
    net: Option<&mut Net>,
    state_r: Option<&mut MaybeUninit<Box<NetworkState>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let state_r = given(state_r, "state_r")?;
        hand_over(Some(state_r), given(net, "net")?.network.host().status()?);
        Ok(())
    })
}

/// Whether there is something that xennet_network_stop() would give back: 1 or 0.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_network_state_started(state: Option<&NetworkState>) -> c_int {
    state.is_some_and(|state| state.started).into()
}

/// What xennet_network_start() would do: an empty plan when all is as the configuration says.
/// NULL when nothing can be planned: then there is an xennet_network_state_error(). Do not free
/// it.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_network_state_drift(state: Option<&NetworkState>) -> Option<&Plan> {
    state?.drift.as_ref().ok()
}

/// Why xennet_network_start() would fail at once; NULL when it would not. Do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_network_state_error(state: Option<&NetworkState>) -> Option<&Error> {
    state?.drift.as_ref().err()
}

/// Whether a start is yet to be confirmed: 1 or 0.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_network_state_unconfirmed(state: Option<&NetworkState>) -> c_int {
    unconfirmed(state).is_some().into()
}

/// Whether the process lives that would take the unconfirmed start back: 1 or 0.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_network_state_watched(state: Option<&NetworkState>) -> c_int {
    unconfirmed(state).is_some_and(|one| one.watched).into()
}

/// In how many seconds the unconfirmed start is taken back; 0 when none is, or while changes are
/// still being made.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_network_state_seconds_left(state: Option<&NetworkState>) -> c_uint {
    let left = unconfirmed(state).and_then(|one| one.left).unwrap_or_default();
    c_uint::try_from(left.as_secs()).unwrap_or(c_uint::MAX)
}

/// Why the last start was taken back, as one line; NULL when it was not.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_network_state_rolled_back(state: Option<&NetworkState>) -> *const c_char {
    pointer(state.and_then(|state| state.rolled_back.as_ref()))
}

/// All of it as JSON, as `xennet network status --json` prints it: {"started":true,"bridges":
/// [{"name":"xenbr0",...}],"unconfirmed":null,"drift":[],...}. Later versions may add to it.
/// NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_network_state_json(state: Option<&NetworkState>) -> *const c_char {
    pointer(state.map(|state| &state.json))
}

/// Frees a state. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_network_state_free(state: Option<Box<NetworkState>>) {
    drop(state);
}

fn unconfirmed(state: Option<&NetworkState>) -> Option<&Unconfirmed> {
    state?.unconfirmed.as_ref()
}
