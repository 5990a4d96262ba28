//! Operations on one vif or tap.

mod address;
mod announce;
mod attach;
mod detach;
mod guarded;
mod remains;
mod resolve;
mod snapshot;
mod status;

pub(crate) use announce::Announce;
pub(crate) use attach::Attach;
pub(crate) use detach::Detach;
pub(crate) use guarded::guarded;
pub use status::VifStatus;
pub(crate) use status::status;

use crate::config::VifConfig;
use crate::plan::VifTarget;
use crate::types::Mode;

/// Which vif an operation is about, and what the caller says about it.
#[derive(Debug)]
pub(crate) struct VifRequest {
    pub(crate) target: VifTarget,
    /// What the vif is attached to, whatever the `script` in XenStore says.
    pub(crate) mode: Option<Mode>,
    /// Values that XenStore overrides.
    pub(crate) defaults: VifConfig,
    /// Values that override XenStore.
    pub(crate) overrides: Vec<(String, Vec<u8>)>,
    /// Whether overrides are not written to XenStore.
    pub(crate) once: bool,
}
