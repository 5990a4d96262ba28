//! Other programs.

use std::process::{Command, Output, Stdio};

use crate::Error;

/// Runs a command to its end. The error says how to do without it.
pub(crate) fn run(command: &[String]) -> Result<Output, Error> {
    let (program, words) = command.split_first().expect("a command begins with its program");
    Command::new(program).args(words).stdin(Stdio::null()).output().map_err(|error| {
        let outcome =
            format!("cannot be run: {error}; install it, or remove firewall = \"iptables\"");
        Error::Command { command: command.join(" "), outcome }
    })
}
