//! Called as a hotplug script: argv and environment in, an exit code out.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;

use xennet_core::hotplug::{Action, Call};
use xennet_core::types::Mode;
use xennet_core::{Dom0Network, Error, Plan};

use crate::log::{Severity, complain, syslog};

/// The names under which this program is a hotplug script.
pub const NAMES: [&str; 9] = [
    "vif-bridge",
    "vif-bridge.xennet",
    "vif-openvswitch",
    "vif-openvswitch.xennet",
    "vif-route",
    "vif-route.xennet",
    "vif-nat",
    "vif-nat.xennet",
    "vif-xennet",
];

/// The whole life of a hotplug script. libxl judges by the exit code alone, and prints what we tell XenStore.
pub fn script(name: &str, args: impl Iterator<Item = OsString>) -> u8 {
    let began = Instant::now();
    let call = Call::parse(args, |key| std::env::var_os(key)).map(|call| {
        // By its own name it does what XenStore says that it was called for.
        call.map(|mut call| {
            call.mode = Mode::of_script(name);
            call
        })
    });
    match call.and_then(|call| call.map(run).transpose()) {
        Ok(None) => 0,
        Ok(Some((call, plan))) => {
            for warning in plan.warnings() {
                syslog(Severity::Warning, name, warning);
                complain(name, warning);
            }
            if std::env::var_os("XENNET_VERBOSE").is_some() {
                for line in plan.lines() {
                    complain(name, format_args!("done: {line}"));
                }
            }
            syslog(Severity::Info, name, summary(&call, &plan, began));
            0
        }
        Err(error) => {
            syslog(Severity::Error, name, &error);
            complain(name, &error);
            1
        }
    }
}

/// Does what the call asks for, or only plans it.
///
/// Unplugging goes on without XenStore, and whatever is wrong with the configuration: a device that goes must go.
pub fn carry_out(call: &Call, dry_run: bool) -> Result<Plan, Error> {
    let offline = call.action == Action::Offline;
    // libxl does not repeat a plug: one refused connection must not fail it.
    let opened = match Dom0Network::open() {
        Err(error) if !offline && error.errno() != libc::ENOENT => Dom0Network::open(),
        opened => opened,
    };
    let net = match opened {
        Err(Error::XenStore(_)) if offline => Dom0Network::without_store(),
        opened => opened,
    };
    let mut net = place(net?);
    if let Err(error) = load_config(&mut net)
        && !offline
    {
        if !dry_run {
            call.report(&mut net, &error);
        }
        return Err(error);
    }
    let done = if dry_run { call.plan(&mut net) } else { call.run(&mut net) };
    // The end of the process closes its sockets as well, and all at once.
    std::mem::forget(net);
    done
}

/// What the administrator decided for this host, if anything.
pub fn load_config(net: &mut Dom0Network) -> Result<(), Error> {
    net.load_config(&config_path())
}

/// Where the administrator's decisions are.
pub fn config_path() -> PathBuf {
    std::env::var_os("XENNET_CONFIG").unwrap_or_else(|| "/etc/xen/xennet.toml".into()).into()
}

/// Directories that a test, or a system with its own layout, puts elsewhere.
pub fn place(mut net: Dom0Network) -> Dom0Network {
    if let Some(dir) = std::env::var_os("XENNET_RUN_DIR") {
        net.set_run_dir(dir);
    }
    if let Some(dir) = std::env::var_os("XENNET_HOOK_DIR") {
        net.set_hook_dir(dir);
    }
    if let Some(dir) = std::env::var_os("XENNET_ROOT_DIR") {
        net.set_root(dir);
    }
    // As Open vSwitch's own tools have it.
    if let Some(dir) = std::env::var_os("OVS_RUNDIR") {
        net.set_ovs_socket(PathBuf::from(dir).join("db.sock"));
    }
    net
}

fn run(call: Call) -> Result<(Call, Plan), Error> {
    let plan = carry_out(&call, false)?;
    Ok((call, plan))
}

fn summary(call: &Call, plan: &Plan, began: Instant) -> String {
    let action = match call.action {
        Action::Online => "online",
        Action::Offline => "offline",
    };
    let milliseconds = began.elapsed().as_secs_f64() * 1e3;
    format!("{} {} {action}: {} changes in {milliseconds:.1} ms", call.device, call.id, plan.len())
}
