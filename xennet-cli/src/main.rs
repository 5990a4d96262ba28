//! `xennet`: the network of a Xen dom0, as a command.

mod args;
mod bridge;
mod config_file;
mod convert;
mod demo;
#[cfg(test)]
mod documented;
mod failure;
mod guard;
mod legacy;
#[cfg(test)]
mod manual;
mod network;
mod options;
mod ovs;
mod signals;
mod vif;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use xennet_cli::hotplug;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    let script = Path::new(&name).file_name().and_then(OsStr::to_str).unwrap_or_default();
    let code = match legacy::script(script) {
        Some(kind) => legacy::run(kind, args),
        // Links to `xennet` under the names of hotplug scripts keep working; `xennet-hotplug` is faster.
        None if hotplug::NAMES.contains(&script) => hotplug::script(script, args),
        None => args::run(name, args),
    };
    code.into()
}
