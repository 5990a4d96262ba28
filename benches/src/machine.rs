//! What all of it was measured on.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::contender::libc_of_ours;

/// Facts of this machine, each with its name.
#[derive(Debug)]
pub struct Machine(Vec<(&'static str, String)>);

impl Machine {
    /// Looks.
    pub fn look() -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        let processors = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
        let model = field(&cpuinfo, "model name");
        let guest = if cpuinfo.contains(" hypervisor") { ", itself a virtual machine" } else { "" };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        Self(vec![
            ("processors", format!("{processors} x {model}{guest}")),
            ("memory", memory),
            ("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned()),
            ("load at the beginning", load()),
            (
                "system",
                field(&read("/etc/os-release").replace('"', "").replace('=', ":"), "PRETTY_NAME"),
            ),
            ("xennet's command", format!("linked with {}", libc_of_ours())),
            ("iproute2", said("ip", &["-V"])),
            ("iptables", said("iptables", &["-V"])),
            (
                "stock scripts",
                "Debian's xen-utils-common (Xen 4.17), real xenstored (the one in C)".to_owned(),
            ),
            ("taken", said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
            (
                "commit",
                said("git", &["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"]),
            ),
        ])
    }

    /// Notes how busy the machine is once everything is measured.
    pub fn note_end(&mut self) {
        self.0.push(("load at the end", load()));
    }

    /// A line each.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(name, value)| format!("- {name}: {value}"))
    }

    /// As it stands in the raw numbers.
    pub fn json(&self) -> Value {
        self.0.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
    }
}

/// Of the last minute, five and fifteen.
fn load() -> String {
    read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn field(text: &str, name: &str) -> String {
    let line =
        text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
    line.unwrap_or("unknown").trim().to_owned()
}

fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map_or_else(
        |_| "none".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
