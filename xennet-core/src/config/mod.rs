//! What is wanted, parsed on construction.

mod network;
mod vif;

pub use network::{BridgePolicy, ConfigError, NetworkConfig};
pub use vif::VifConfig;
