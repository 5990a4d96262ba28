//! A start on trial: rolled back by a watchdog, which is another process, unless it is confirmed.
//!
//! A file says that a start is on trial and how to roll it back. Whoever holds the network's lock and removes that file
//! decides: the caller that confirms or stops, or the watchdog at the deadline. The watchdog holds a lock for as long as
//! it lives: the kernel releases it when the process dies.

use std::path::Path;
use std::time::Duration;

use super::records::pending;
use crate::Error;
use crate::engine::{Lock, LockName, TIME_LIMIT, lock};
use crate::trial::{Unconfirmed, since_boot};

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

/// Held by the process that takes a start back, for as long as it lives.
#[derive(Debug)]
pub struct Watch {
    lock: Lock,
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
