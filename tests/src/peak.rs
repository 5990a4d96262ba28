//! How much memory a program needs at most.
#![expect(clippy::missing_panics_doc, reason = "what tests share fails as tests do: by a panic")]

use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Runs a command to its end, which must be a success; the most memory that it had at a time, in bytes.
///
/// A small static program starts it: the kernel counts what a process was before it executed its program too.
pub fn measured(command: &Command) -> u64 {
    let dir = TempDir::new().expect("a temporary directory");
    let peak = dir.path().join("peak");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/peak.c");
    let built = Command::new("gcc")
        .args(["-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&peak)
        .arg(source)
        .status();
    assert!(built.is_ok_and(|status| status.success()), "gcc {source}: run tests/setup");
    let mut run = Command::new(peak);
    run.arg(command.get_program()).args(command.get_args()).env_clear().stdin(Stdio::null());
    run.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = run.output().expect("just built");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {said}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    let kibibytes: u64 = text.trim().parse().expect("a number is all that is said");
    kibibytes * 1024
}
