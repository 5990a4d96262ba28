//! A start on trial: rolled back by a watchdog, which is another process, unless it is confirmed.
//!
//! A file says that a start is on trial and how to roll it back. Whoever holds the network's lock and removes that file
//! decides: the caller that confirms or stops, or the watchdog at the deadline. The watchdog holds a lock for as long as
//! it lives: the kernel releases it when the process dies.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::pending;
use crate::Error;
use crate::engine::{Lock, LockName, TIME_LIMIT, lock};
use crate::plan::NetworkBefore;

/// How a start is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trial {
    /// The process that takes it back: it holds a [`Watch`].
    pub watchdog: u32,
    /// How long it may be confirmed, once it is done.
    pub confirm: Duration,
    /// How long the gateways may take to answer.
    pub probe: Duration,
}

/// A start that is yet to be confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unconfirmed {
    /// The process that takes it back.
    pub watchdog: u32,
    /// Whether that process lives; if not, nobody takes it back.
    pub watched: bool,
    /// When it is taken back; none while changes are still being made.
    pub left: Option<Duration>,
}

/// A start that was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RolledBack {
    /// When: the time since the machine's boot, as `CLOCK_BOOTTIME` counts it.
    pub at: Duration,
    /// Why.
    pub why: String,
}

/// Held by the process that takes a start back, for as long as it lives.
#[derive(Debug)]
pub struct Watch {
    lock: Lock,
}

/// `network.pending`
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) watchdog: u32,
    /// On the clock of [`RolledBack::at`].
    pub(super) deadline: Option<Duration>,
    /// What there was just before this start.
    pub(super) undo: NetworkBefore,
    /// What was recorded then, of earlier ones.
    pub(super) record: Option<NetworkBefore>,
}

/// A start that is yet to be confirmed. Changes nothing.
pub(crate) fn unconfirmed(run_dir: &Path) -> Result<Option<Unconfirmed>, Error> {
    let Some(pending) = pending(run_dir).read()? else { return Ok(None) };
    Ok(Some(Unconfirmed {
        watchdog: pending.watchdog,
        watched: is_watched(run_dir, pending.watchdog)?,
        left: pending.deadline.map(|deadline| deadline.saturating_sub(since_boot())),
    }))
}

/// Makes the calling process a watchdog.
pub(crate) fn watch(run_dir: &Path) -> Result<Watch, Error> {
    Ok(Watch { lock: lock(run_dir, &LockName::Watchdog(std::process::id()), TIME_LIMIT)? })
}

/// Whether a watchdog lives.
pub(super) fn is_watched(run_dir: &Path, watchdog: u32) -> Result<bool, Error> {
    Lock::is_held(run_dir, &LockName::Watchdog(watchdog))
}

impl Watch {
    /// Ends it, and leaves no file.
    pub fn end(self) {
        self.lock.remove();
    }
}

impl fmt::Display for Unconfirmed {
    /// `the last start is unconfirmed, and taken back in 42 s`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.watched, self.left) {
            (true, Some(left)) => {
                let seconds = left.as_secs_f32().ceil();
                write!(f, "the last start is unconfirmed, and taken back in {seconds} s")
            }
            (true, None) => f.write_str("a start is under way, or being taken back"),
            (false, _) => {
                let watchdog = self.watchdog;
                write!(
                    f,
                    "the last start is unconfirmed, but its watchdog (process {watchdog}) is gone: \
                     nobody takes it back"
                )
            }
        }
    }
}

impl fmt::Display for RolledBack {
    /// `the last start was taken back 42 s ago: ...`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ago = since_boot().saturating_sub(self.at).as_secs();
        write!(f, "the last start was taken back {ago} s ago: {}", self.why)
    }
}

/// It goes on while the machine sleeps, and nobody sets it.
pub(super) fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has had this clock since 2.6.39").into()
}
