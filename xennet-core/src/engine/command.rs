//! Commands that the configuration asks for: hooks and `iptables`.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Error;
use crate::command::run;
use crate::plan::Hook;

/// Runs the `iptables` command.
pub(super) fn iptables(command: &[String]) -> Result<(), Error> {
    let output = run(command)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', ", ");
    let outcome = format!("{}: {said}", output.status);
    Err(Error::Command { command: command.join(" "), outcome })
}

/// Runs a hook, and kills it at the deadline.
pub(super) fn run_hook(hook: &Hook, deadline: Instant) -> Result<(), Error> {
    let failed = |outcome: String| Error::Hook { path: hook.path.clone(), outcome };
    let mut child = Command::new(&hook.path)
        .envs(hook.variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .spawn()
        .map_err(|error| failed(format!("cannot be run: {error}")))?;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(failed(format!("failed with {status}"))),
            Ok(None) if Instant::now() < deadline => sleep(Duration::from_millis(2)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                let outcome = "was still running when the time for all hooks (20 s at most) was over, and was killed";
                return Err(failed(outcome.to_owned()));
            }
            Err(error) => return Err(failed(format!("cannot be waited for: {error}"))),
        }
    }
}
