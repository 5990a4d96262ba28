//! Operations on the host's own network.

mod confirm;
mod gateway;
mod roll_back;
mod start;
mod stop;
mod trial;

pub(crate) use confirm::Confirm;
pub(crate) use roll_back::RollBack;
pub(crate) use start::{Start, TrialRun};
pub(crate) use stop::Stop;
pub use trial::{Trial, Watch};
pub(crate) use trial::{unconfirmed, watch};

use std::path::Path;

use crate::engine::Record;
use crate::plan::NetworkBefore;
use crate::trial::RolledBack;
use trial::Pending;

/// What there was before xennet changed it.
pub(crate) fn record(run_dir: &Path) -> Record<NetworkBefore> {
    Record::new(run_dir, "network.json")
}

/// The start that waits to be confirmed.
fn pending(run_dir: &Path) -> Record<Pending> {
    Record::new(run_dir, "network.pending")
}

/// The last start, where it was rolled back.
pub(crate) fn rolled_back(run_dir: &Path) -> Record<RolledBack> {
    Record::new(run_dir, "network.last")
}
