use std::ffi::{CString, c_char, c_int};
use std::mem::MaybeUninit;

use serde_json::json;
use xennet_core::types::{IfName, NftCounter};
use xennet_core::{Explanation, GuardFault, GuardTable, GuardedPort};

use crate::boundary::{bytes, call, given, hand_over, octets};
use crate::c_text::{c_line, c_text, pointer};
use crate::error::Error;
use crate::net::Net;
use crate::plan::Plan;
use crate::vif::Vif;

/// What the guard held its ports to at one moment, and what it had counted. Everything that it
/// gives lives as long as it does.
#[derive(Debug)]
pub struct Guard {
    ports: Vec<Port>,
    text: CString,
    json: CString,
}

/// What became of a frame, by the rules that were in force.
#[derive(Debug)]
pub struct Verdict {
    passes: bool,
    rule: Option<CString>,
    text: CString,
    json: CString,
}

/// Which ports were not guarded as they should be. Everything that it gives lives as long as it
/// does.
#[derive(Debug)]
pub struct Faults(Vec<Fault>);

#[derive(Debug)]
struct Port {
    name: CString,
    record: CString,
    sent: NftCounter,
    dropped: NftCounter,
}

#[derive(Debug)]
struct Fault {
    port: CString,
    repair: Result<Plan, Error>,
}

impl From<Vec<GuardTable>> for Guard {
    fn from(tables: Vec<GuardTable>) -> Self {
        let port = |port: GuardedPort| Port {
            name: c_text(port.port.as_str()),
            record: c_line(&port.record),
            sent: port.sent,
            dropped: port.dropped,
        };
        Self {
            ports: tables.iter().flat_map(GuardTable::ports).map(port).collect(),
            text: c_text(tables.iter().map(ToString::to_string).collect::<String>()),
            json: c_text(json!(tables).to_string()),
        }
    }
}

impl From<Explanation> for Verdict {
    fn from(Explanation { passes, path, deciding, .. }: Explanation) -> Self {
        let lines: String = path.iter().flat_map(|step| [step.as_str(), "\n"]).collect();
        Self {
            json: c_text(json!({ "passes": passes, "rule": deciding, "path": path }).to_string()),
            text: c_text(lines),
            rule: deciding.map(|rule| c_line(&rule)),
            passes,
        }
    }
}

impl From<Vec<GuardFault>> for Faults {
    fn from(faults: Vec<GuardFault>) -> Self {
        let fault = |fault: GuardFault| Fault {
            port: c_text(fault.port.as_str()),
            repair: fault.repair.map(Plan::from).map_err(Error::from),
        };
        Self(faults.into_iter().map(fault).collect())
    }
}

/// Says what the guard holds every vif to, and what it has dropped. Touches nothing.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_show(
    net: Option<&mut Net>,
    guard_r: Option<&mut MaybeUninit<Box<Guard>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let guard_r = given(guard_r, "guard_r")?;
        hand_over(Some(guard_r), given(net, "net")?.network.guard().tables()?);
        Ok(())
    })
}

/// The same of one vif and its tap: no port when nothing guards it.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_vif_guard(
    net: Option<&mut Net>,
    vif: Option<&Vif>,
    guard_r: Option<&mut MaybeUninit<Box<Guard>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let (guard_r, id) = (given(guard_r, "guard_r")?, given(vif, "vif")?.id);
        let tables = given(net, "net")?.network.guard().tables()?;
        hand_over(Some(guard_r), tables.into_iter().map(|table| table.of(id)).collect::<Vec<_>>());
        Ok(())
    })
}

/// How many ports are guarded; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_port_count(guard: Option<&Guard>) -> usize {
    guard.map_or(0, |guard| guard.ports.len())
}

/// The interface at `index`, from 0, such as "vif3.0"; NULL when there is none.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_port(guard: Option<&Guard>, index: usize) -> *const c_char {
    pointer(port(guard, index).map(|port| &port.name))
}

/// What was set up for the port at `index`, in words: the level of its guard, whose vif it is,
/// and the addresses that it may speak from. NULL when there is none.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_record(guard: Option<&Guard>, index: usize) -> *const c_char {
    pointer(port(guard, index).map(|port| &port.record))
}

/// How many packets the port at `index` sent, dropped or not; 0 when there is none.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_sent_packets(guard: Option<&Guard>, index: usize) -> u64 {
    port(guard, index).map_or(0, |port| port.sent.packets)
}

/// The same in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_sent_bytes(guard: Option<&Guard>, index: usize) -> u64 {
    port(guard, index).map_or(0, |port| port.sent.bytes)
}

/// How many of these packets were dropped; 0 when there is no port at `index`.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_dropped_packets(guard: Option<&Guard>, index: usize) -> u64 {
    port(guard, index).map_or(0, |port| port.dropped.packets)
}

/// The same in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_dropped_bytes(guard: Option<&Guard>, index: usize) -> u64 {
    port(guard, index).map_or(0, |port| port.dropped.bytes)
}

/// All of it for people, as `xennet guard show` prints it: each port with what it is allowed,
/// and what the rules have dropped. Empty when there is no guard. NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_text(guard: Option<&Guard>) -> *const c_char {
    pointer(guard.map(|guard| &guard.text))
}

/// All of it as JSON, as `xennet guard show --json` prints it: [{"family":"bridge","ports":
/// [{"port":"vif3.0","sent":{"packets":1,"bytes":60},...}],"rules":[...]}]. Later versions may
/// add to it. NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_json(guard: Option<&Guard>) -> *const c_char {
    pointer(guard.map(|guard| &guard.json))
}

/// Frees what the guard was; the guard itself stays as it is. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_free(guard: Option<Box<Guard>>) {
    drop(guard);
}

/// Says what becomes of a frame that comes in by the interface `port`: whether it passes, and by
/// which rule, reckoned from the rules that are in force. No packet is sent. `frame` is `length`
/// bytes as they are on the wire, from the Ethernet header on and without its checksum, tags
/// included; what no bridge would take is said to be dropped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xennet_guard_explain(
    net: Option<&mut Net>,
    port: *const c_char,
    frame: *const u8,
    length: usize,
    verdict_r: Option<&mut MaybeUninit<Box<Verdict>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let (net, verdict_r) = (given(net, "net")?, given(verdict_r, "verdict_r")?);
        // SAFETY: C passes NULL or a text, and NULL or so many bytes.
        let (port, frame) = unsafe { (bytes(port, "port")?, octets(frame, length, "frame")?) };
        let port = IfName::from_bytes(port)?;
        hand_over(Some(verdict_r), net.network.guard().explain(port, frame.to_vec())?);
        Ok(())
    })
}

/// Whether the frame passes: 1 or 0. 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_verdict_passes(verdict: Option<&Verdict>) -> c_int {
    verdict.is_some_and(|verdict| verdict.passes).into()
}

/// What the rule says that decided, as one line: "source is not its own". NULL when none
/// objected. It lives as long as the verdict.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_verdict_rule(verdict: Option<&Verdict>) -> *const c_char {
    pointer(verdict.and_then(|verdict| verdict.rule.as_ref()))
}

/// What each rule says that the frame met, in their order, a line each. It lives as long as the
/// verdict. NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_verdict_text(verdict: Option<&Verdict>) -> *const c_char {
    pointer(verdict.map(|verdict| &verdict.text))
}

/// All of it as JSON: {"passes":false,"rule":"source is not its own","path":[...]}. Later
/// versions may add to it. It lives as long as the verdict. NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_verdict_json(verdict: Option<&Verdict>) -> *const c_char {
    pointer(verdict.map(|verdict| &verdict.json))
}

/// Frees a verdict. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_verdict_free(verdict: Option<Box<Verdict>>) {
    drop(verdict);
}

/// Says what is wrong with the guard: what connected vifs lack by XenStore and the host's
/// configuration, and what is left of vifs that are gone. No fault when all is as it should be.
/// Touches nothing; takes a XenStore, because only that says which addresses a guest has.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_check(
    net: Option<&mut Net>,
    faults_r: Option<&mut MaybeUninit<Box<Faults>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let faults_r = given(faults_r, "faults_r")?;
        hand_over(Some(faults_r), given(net, "net")?.network.guard().check()?.faults);
        Ok(())
    })
}

/// How many faults there are; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_faults_count(faults: Option<&Faults>) -> usize {
    faults.map_or(0, |faults| faults.0.len())
}

/// The interface that the fault at `index`, from 0, is of; NULL when there is none.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_faults_port(faults: Option<&Faults>, index: usize) -> *const c_char {
    pointer(fault(faults, index).map(|fault| &fault.port))
}

/// What would put the fault at `index` right. NULL when there is none, or nothing can be
/// planned: then there is an xennet_guard_faults_error(). Do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_faults_repair(
    faults: Option<&Faults>,
    index: usize,
) -> Option<&Plan> {
    fault(faults, index)?.repair.as_ref().ok()
}

/// Why the fault at `index` cannot be put right; NULL when there is none, or it can. Do not free
/// it.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_faults_error(
    faults: Option<&Faults>,
    index: usize,
) -> Option<&Error> {
    fault(faults, index)?.repair.as_ref().err()
}

/// Frees faults. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_faults_free(faults: Option<Box<Faults>>) {
    drop(faults);
}

/// Puts right what xennet_guard_check() finds, and touches nothing else of a vif. When one
/// fails, the others are put right all the same, and the first error is returned. The changes
/// that were made are in `done_r`, which may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_restore(
    net: Option<&mut Net>,
    done_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        hand_over(done_r, given(net, "net")?.network.guard().restore()?);
        Ok(())
    })
}

/// Takes the whole guard away, as before an uninstallation: guests are then held to nothing.
/// While it guards vifs that is refused (-EBUSY), unless `force` is not 0. The changes that were
/// made are in `done_r`, which may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_remove(
    net: Option<&mut Net>,
    force: c_int,
    done_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        hand_over(done_r, given(net, "net")?.network.guard().remove(force != 0)?);
        Ok(())
    })
}

/// Says what xennet_guard_remove() would do now. Touches nothing.
#[unsafe(no_mangle)]
pub extern "C" fn xennet_guard_plan_remove(
    net: Option<&mut Net>,
    force: c_int,
    plan_r: Option<&mut MaybeUninit<Box<Plan>>>,
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
) -> c_int {
    call(err_r, || {
        let plan_r = given(plan_r, "plan_r")?;
        hand_over(Some(plan_r), given(net, "net")?.network.guard().plan_remove(force != 0)?);
        Ok(())
    })
}

fn port(guard: Option<&Guard>, index: usize) -> Option<&Port> {
    guard?.ports.get(index)
}

fn fault(faults: Option<&Faults>, index: usize) -> Option<&Fault> {
    faults?.0.get(index)
}
