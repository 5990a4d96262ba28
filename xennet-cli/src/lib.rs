//! What the two programs of this package share: `xennet`, the command, and `xennet-hotplug`, the script that libxl calls.
//!
//! No stability promise: programs use `xennet-core`.

pub mod hotplug;
pub mod log;
