//! A start by somebody who could lock himself out: taken back by another process unless he confirms it.

use std::fs;
use std::io::{BufRead, BufReader, IsTerminal, Write, stdin};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use xennet_core::plan::Plan;
use xennet_core::{Error, Host, Trial};

use super::watchdog::{DONE, READY};
use crate::args::Failure;
use crate::log::complain;

/// How long a start may be confirmed when nothing else is said.
const USUAL: Duration = Duration::from_mins(1);
/// How long the watchdog may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a start may be confirmed: not at all by whoever sits at the machine.
pub(super) fn usual_timeout() -> Duration {
    let terminal = fs::read_link("/proc/self/fd/0").ok().filter(|_| stdin().is_terminal());
    let local =
        std::env::var_os("SSH_CONNECTION").is_none() && terminal.as_deref().is_some_and(is_console);
    if local { Duration::ZERO } else { USUAL }
}

/// Starts, with a watchdog that is there before the first change.
pub(super) fn start(
    host: &mut Host<'_>,
    confirm: Duration,
    probe: Duration,
) -> Result<Plan, Failure> {
    let mut watchdog = Watchdog::begin(probe)?;
    let mut trial = Trial::new(watchdog.process);
    (trial.confirm, trial.probe) = (confirm, probe);
    let gone = Error::Unwatched { watchdog: watchdog.process };
    let plan = host.start_on_trial(trial, || watchdog.socket.write_all(DONE).map_err(|_| gone))?;
    if !plan.is_empty() {
        complain(
            "xennet",
            format_args!(
                "the network is as the configuration says; to keep it, run `xennet network confirm` \
                 within {} s, or it is all taken back",
                confirm.as_secs()
            ),
        );
    }
    Ok(plan)
}

/// The other process, for as long as this one is at work; it takes our end, whatever the cause, for the start's failure.
struct Watchdog {
    process: u32,
    socket: UnixStream,
}

impl Watchdog {
    fn begin(probe: Duration) -> Result<Self, Failure> {
        let failed = |what: &str, error: std::io::Error| {
            Failure::Failed(format!(
                "{what}: {error}; nothing was changed, because nobody would take it back; \
                 `--confirm-timeout 0` does without"
            ))
        };
        let (socket, theirs) = UnixStream::pair().map_err(|e| failed("make a socket", e))?;
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("xennet")
            .args(["network", "watchdog", "--probe-timeout", &probe.as_secs().to_string()])
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/");
        // It is elsewhere, so a relative one would be another.
        if let Some(dir) = std::env::var_os("XENNET_RUN_DIR") {
            command.env("XENNET_RUN_DIR", std::path::absolute(dir)?);
        }
        let child = command.spawn().map_err(|e| failed("start the watchdog", e))?;
        // Its end of the socket goes with it: else we would not see its end.
        drop(command);
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut said = String::new();
        let read = BufReader::new(&socket).read_line(&mut said);
        read.map_err(|e| failed("wait for the watchdog", e))?;
        if said.as_bytes() != READY {
            return Err(failed(
                "start the watchdog",
                std::io::Error::other(said.trim().to_owned()),
            ));
        }
        Ok(Self { process: child.id(), socket })
    }
}

/// A screen and keyboard, a serial line or Xen's console: nothing that goes over the network.
fn is_console(terminal: &Path) -> bool {
    let Some(name) = terminal.to_str().and_then(|path| path.strip_prefix("/dev/")) else {
        return false;
    };
    name == "console"
        || ["tty", "ttyS", "ttyAMA", "hvc"].iter().any(|kind| {
            name.strip_prefix(kind).is_some_and(|number| {
                !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consoles_are_local() {
        for local in ["/dev/tty1", "/dev/ttyS0", "/dev/hvc0", "/dev/console", "/dev/ttyAMA0"] {
            assert!(is_console(Path::new(local)), "{local}");
        }
        for remote in ["/dev/pts/0", "/dev/tty", "/dev/ttyp0", "/dev/null", "socket:[7]"] {
            assert!(!is_console(Path::new(remote)), "{remote}");
        }
    }
}
