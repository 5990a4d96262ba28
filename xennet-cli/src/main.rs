//! `xennet`: the network of a Xen dom0, as a command and as the hotplug script that xl calls.

mod args;
mod bridge;
mod convert;
mod demo;
mod guard;
mod hotplug;
mod legacy;
mod log;
mod network;
mod ovs;
mod vif;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    match Path::new(&name).file_name().and_then(OsStr::to_str) {
        // xl calls the script of a vif by its name, and waits for it: nothing that it does not need happens here.
        Some(script) if hotplug::NAMES.contains(&script) => hotplug::script(script, args),
        Some(script) => match legacy::script(script) {
            Some(kind) => legacy::run(kind, args),
            None => args::run(),
        },
        None => args::run(),
    }
}
