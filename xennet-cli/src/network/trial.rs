//! A start by somebody who could lock himself out: taken back by another process unless he confirms it.

use std::fs;
use std::io::{IsTerminal, stdin};
use std::path::Path;
use std::time::Duration;

use xennet_cli::log::complain;
use xennet_core::{Host, Plan};

use crate::failure::Failure;

/// How long a start may be confirmed when nothing else is said.
const USUAL: Duration = Duration::from_mins(1);

/// How long a start may be confirmed: not at all by whoever sits at the machine.
pub(super) fn usual_timeout() -> Duration {
    let terminal = fs::read_link("/proc/self/fd/0").ok().filter(|_| stdin().is_terminal());
    let local =
        std::env::var_os("SSH_CONNECTION").is_none() && terminal.as_deref().is_some_and(is_console);
    if local { Duration::ZERO } else { USUAL }
}

/// Starts, with a watchdog that is this very program.
pub(super) fn start(
    host: &mut Host<'_>,
    confirm: Duration,
    probe: Duration,
) -> Result<Plan, Failure> {
    let (plan, _) = host.start_watched(Path::new("/proc/self/exe"), confirm, probe)?;
    if !plan.is_empty() {
        complain(
            "xennet",
            format_args!(
                "the network is as the configuration says; to keep it, run `xennet network confirm` \
                 within {} s, or xennet rolls it back",
                confirm.as_secs()
            ),
        );
    }
    Ok(plan)
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
