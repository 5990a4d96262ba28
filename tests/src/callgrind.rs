//! How many instructions a program takes in user space: counted by valgrind, so that no clock decides.
#![expect(clippy::missing_panics_doc, reason = "what tests share fails as tests do: by a panic")]

use std::fs;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Runs a command to its end, which must be a success. Other processes that it starts are not counted.
pub fn counted(command: &Command) -> u64 {
    let dir = TempDir::new().expect("a temporary directory");
    let record = dir.path().join("record");
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--quiet", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", record.display()));
    valgrind.arg("--").arg(command.get_program()).args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        valgrind.env(name, value.unwrap_or_default());
    }
    let output = valgrind
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("valgrind: {error}: run tests/setup"));
    assert_success(&output);
    let record = fs::read_to_string(&record).expect("callgrind writes where it is told to");
    total(&record).expect("callgrind counts instructions")
}

fn assert_success(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "valgrind, or what it ran: {}: {said}", output.status);
}

/// `summary: 247013`, of which there is one for each part.
fn total(record: &str) -> Option<u64> {
    record.lines().find_map(|line| line.strip_prefix("summary: "))?.trim().parse().ok()
}
