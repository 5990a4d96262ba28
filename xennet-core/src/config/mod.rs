//! What is wanted, parsed on construction.

mod guard;
mod network;
mod vif;

pub use guard::{GuardLevel, GuardPolicy};
pub use network::{BridgePolicy, ConfigError, NetworkConfig};
pub use vif::VifConfig;
