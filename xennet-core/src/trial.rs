//! A start on trial, as errors and the status report it.

use std::fmt;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

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

impl fmt::Display for Unconfirmed {
    /// `the last start is unconfirmed, and is rolled back in 42 s`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.watched, self.left) {
            (true, Some(left)) => {
                let seconds = left.as_secs_f32().ceil();
                write!(f, "the last start is unconfirmed, and is rolled back in {seconds} s")
            }
            (true, None) => f.write_str("a start is under way, or is being rolled back"),
            (false, _) => {
                let watchdog = self.watchdog;
                write!(
                    f,
                    "the last start is unconfirmed, but its watchdog (process {watchdog}) is gone: \
                     it is not rolled back"
                )
            }
        }
    }
}

impl fmt::Display for RolledBack {
    /// `the last start was rolled back 42 s ago: ...`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ago = since_boot().saturating_sub(self.at).as_secs();
        write!(f, "the last start was rolled back {ago} s ago: {}", self.why)
    }
}

/// The time since boot, by a clock that runs during suspend and that nobody sets.
pub(crate) fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has had this clock since 2.6.39").into()
}
