//! What is wanted, parsed on construction.

mod guard;
mod network;
mod port;
mod vif;

pub use guard::{GuardLevel, GuardPolicy};
pub use network::{BridgePolicy, ConfigError, NetworkConfig};
pub use port::{GuestName, GuestPolicy, PortPolicy};
pub use vif::VifConfig;
