//! What is wanted, parsed on construction.

mod vif;

pub use vif::VifConfig;
