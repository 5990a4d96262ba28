//! `xennet`: the network of a Xen dom0, as a command and as the hotplug script that xl calls.
#![cfg_attr(not(test), no_main)]

mod args;
mod bridge;
mod config_file;
mod convert;
mod demo;
mod failure;
mod guard;
mod hotplug;
mod legacy;
mod log;
#[cfg(test)]
mod manual;
mod memory;
mod network;
mod options;
mod ovs;
#[cfg(not(test))]
mod start;
mod vif;

use std::ffi::{OsStr, OsString};
use std::path::Path;

#[cfg(test)]
fn main() -> std::process::ExitCode {
    run(std::env::args_os()).into()
}

/// The whole program, from its arguments to its exit status.
fn run(mut args: impl Iterator<Item = OsString>) -> u8 {
    let name = args.next().unwrap_or_default();
    match Path::new(&name).file_name().and_then(OsStr::to_str) {
        // xl calls the script of a vif by its name, and waits for it: nothing that it does not need happens here.
        Some(script) if hotplug::NAMES.contains(&script) => hotplug::script(script, args),
        Some(script) => match legacy::script(script) {
            Some(kind) => legacy::run(kind, args),
            None => args::run(name, args),
        },
        None => args::run(name, args),
    }
}
