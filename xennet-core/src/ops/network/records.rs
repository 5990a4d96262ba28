//! What an operation needs to know about earlier ones, in files below `/run/xennet`.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::Record;
use crate::plan::NetworkRecord;
use crate::trial::RolledBack;

/// `network.pending`
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) watchdog: u32,
    /// On the clock of [`RolledBack::at`].
    pub(super) deadline: Option<Duration>,
    /// What there was just before this start.
    pub(super) undo: NetworkRecord,
    /// What was recorded then, of earlier ones.
    pub(super) record: Option<NetworkRecord>,
}

/// What there was before xennet changed it.
pub(crate) fn record(run_dir: &Path) -> Record<NetworkRecord> {
    Record::new(run_dir, "network.json")
}

/// The start that waits to be confirmed.
pub(super) fn pending(run_dir: &Path) -> Record<Pending> {
    Record::new(run_dir, "network.pending")
}

/// The last start, where it was rolled back.
pub(crate) fn rolled_back(run_dir: &Path) -> Record<RolledBack> {
    Record::new(run_dir, "network.last")
}
