//! `xennet`: the network of a Xen dom0, as a command and as the hotplug script that xl calls.
#![cfg_attr(all(target_env = "gnu", not(test)), no_main)]

mod args;
mod bridge;
mod convert;
mod demo;
mod guard;
mod hotplug;
mod legacy;
mod log;
#[cfg(test)]
mod manual;
#[cfg(any(test, target_env = "gnu"))]
mod memory;
mod network;
mod ovs;
#[cfg(all(target_env = "gnu", not(test)))]
mod start;
mod vif;

use std::ffi::OsStr;
use std::path::Path;
#[cfg(any(not(target_env = "gnu"), test))]
use std::process::ExitCode;

#[cfg(any(not(target_env = "gnu"), test))]
fn main() -> ExitCode {
    ExitCode::from(run())
}

/// The whole program, as far as its exit status.
fn run() -> u8 {
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
