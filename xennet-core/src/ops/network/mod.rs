//! Operations on the host's own network.

mod confirm;
mod gateway;
mod records;
mod roll_back;
mod start;
mod stop;
mod trial;

pub(crate) use confirm::Confirm;
pub(crate) use records::{record, rolled_back};
pub(crate) use roll_back::RollBack;
pub(crate) use start::{Start, TrialRun};
pub(crate) use stop::Stop;
pub use trial::{Trial, Watch};
pub(crate) use trial::{unconfirmed, watch};
